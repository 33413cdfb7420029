"""The statistics, pure: numpy arrays and small frozen values in, the same out. No pandas, no files, no store.

| module | answers |
| --- | --- |
| `intervals` | how good is a model, and by how much do two differ |
| `paired` | is one better than the other on the same questions |
| `families` | what is left of it when many comparisons are made |
| `noninferiority` | did one lose less than a margin |
| `verdict` | the four sentences |
| `overlap` | do models fail on the same questions, and with the same option |
| `suspects` | which answer keys look wrong |
| `options` | what the log-probabilities say: calibration, divergence, near ties |

Only `scipy.special` is imported, a tenth of what `scipy.stats` or statsmodels cost; the tests check against both.
"""
