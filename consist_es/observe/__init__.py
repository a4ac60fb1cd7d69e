"""Notes what a step reads while it runs: files, listings, variables, modules, programs, random state.

`Watch` begins and ends with a run and gives `Reads`; the functions of `now` give the present value of a recorded read.
An audit hook sees files that Python opens; while a run is open, stand-ins for a few functions see reads without an
event; the kernel reports compiled code and other processes.

Not seen, or not exactly:

- files that compiled code opens outside of the roots; without kernel events also functions of other packages that were
  imported by name, DuckDB's files in SQL, and reads of other programs (these are listed in `unseen`);
- looks by `os.stat` and the like if the function itself was imported by name (``from os import stat``), and ``lstat``
  of code that is not the project's;
- variables that C code reads, and names looked up in a copy of the environment that no source of the project writes;
- whether compiled code of this process appends to a file or rewrites it, if the step reads it then: it is taken for
  the step's own work; so are appends of programs, if the kernel does not report the process of an event;
- mappings of files from before the run with a closed descriptor, and files opened relative to a descriptor;
- a random generator seeded before the first run by other means than the project's sources show;
- values that functions keep of reads made while no run was open: `inherited` knows of runs alone.
"""
