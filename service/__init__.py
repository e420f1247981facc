"""The champion behind BentoML."""

import os

from bentoml._internal.utils.analytics import usage_stats

# Disables BentoML's tracking in every environment. The command has already cached the setting, and BentoML has
# no public call to read it again.
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
usage_stats.do_not_track.cache_clear()
