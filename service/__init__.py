"""The champion behind BentoML."""

import os

from bentoml._internal.utils.analytics import usage_stats

# Nothing is reported, in whatever environment. The command asked, and kept the answer, before it came here; BentoML has
# no public call that makes it ask again.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
usage_stats.do_not_track.cache_clear()
