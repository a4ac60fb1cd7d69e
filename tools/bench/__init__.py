"""What things cost: exact counts, ratios to other libraries, growth, and speeds of the log and the views.

| command | what it does |
|---|---|
| ``python -m tools.bench`` | speeds and sizes of the log and the views |
| ``… counts`` | exact counts of steps and queries, compared with the ones on record; ``--write`` records them |
| ``… contest`` | several libraries in turn, ourselves at another commit among them |
| ``… growth`` | steps and queries on logs of several lengths |
| ``… instructions`` | instructions and system calls of a step, where valgrind and strace are |
| ``… publish`` | the last three, and the pages of docs/performance from them; ``--smoke`` only tries if they run |
"""
