"""Counts the correctly classified samples of each tier.

count_tiers.py BUNDLE TIERS
"""

import sys

from tiers import tiers_of

bundle, count = sys.argv[1:]
print("counts", *[len(group) for group in tiers_of(bundle, int(count))])
