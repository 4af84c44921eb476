"""neurolysis: plan, simulate and follow up the destruction, disruption or freeing of nerve fibres.

Decision support for professionals and research use; not a certified medical device.
"""

__version__ = "0.1.0"
