"""The data sets of the course, each as training, validation and test samples.

| call | what | from |
|---|---|---|
| `digits()` | 1,797 handwritten digits of 8x8 pixels | bundled: works offline |
| `mnist()` | 70,000 handwritten digits of 28x28 pixels | fetched once |
| `fashion_mnist()` | 70,000 articles of clothing of 28x28 pixels | fetched once |
| `monks(problem)` | 432 robots and a logical rule to learn | generated |

`fetch(name)` downloads without reading. `jitter` and `shifts` move images by a pixel. The environment variable
MINICOMPRESS_DATA names a folder that is looked at first, with the sub-folders mnist, fashion-mnist and monks.
"""

from .augmentation import jitter, shifts
from .dataset import Dataset, Samples
from .digits import digits
from .download import fetch
from .mnist import fashion_mnist, mnist
from .monks import monks

__all__ = ["Dataset", "Samples", "digits", "fashion_mnist", "fetch", "jitter", "mnist", "monks", "shifts"]
