"""dlcourse: the package behind the executable course on the basics of deep learning.

Importing it imports none of its rooms. Take what you need:

>>> from dlcourse.linear import least_squares
"""

__version__ = "0.1.0"
