"""Sound as networks see it: ACDnet's compressed spectrograms, and the front ends of the other papers."""

from acdref.features.compressed import *
from acdref.features.mel import *
from acdref.features.papers import *
