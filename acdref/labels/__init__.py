"""Label rules as pure functions: arrays in, arrays out, nothing modified, nothing drawn without a generator.

Conventions of every function here:

* A label matrix is ``(N, C)``, float, with the values 0, 1 and NaN.  NaN means *unknown*: the pair takes no
  part in the loss or in class statistics.  Anything else raises ``ValueError``; bool and int are accepted.
* Teacher scores are ``(N, C)`` in [0, 1]; NaN means *no opinion* and leaves the label as it was.  Scores are
  compared with thresholds in float64.
* In combination: (1) ontology relabelling, (2) projection to the working classes, (3) correction or masking
  by a teacher, each per source clip; then (4) :func:`or_join` of the clips that are mixed.

=============================  ===========================================================================
algebra                        joining and mixing labels (Braun & Gamper)
correction, clap               correcting and masking by a teacher's scores; labels from CLAP's cosines
ontology, superclasses         labels by a graph of classes (Grzywalski & Botteldooren); a few broad classes
strong                         labels of frames from events (Hershey et al.)
events                         events from the scores of windows
pseudo                         windows and their soft labels (Dinkel et al.)
verification                   accepting unverified clips, folds (Dorfer & Widmer)
odds, evaluation, noise        how labels relate; evaluation sets; errors put in on purpose
vocabulary, sparse             what columns stand for; label matrices as lists
=============================  ===========================================================================
"""

from acdref.labels.algebra import *
from acdref.labels.clap import *
from acdref.labels.correction import *
from acdref.labels.evaluation import *
from acdref.labels.events import *
from acdref.labels.odds import *
from acdref.labels.ontology import *
from acdref.labels.pseudo import *
from acdref.labels.sparse import *
from acdref.labels.strong import *
from acdref.labels.superclasses import *
from acdref.labels.verification import *
from acdref.labels.vocabulary import *
