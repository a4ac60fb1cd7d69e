"""Notes what a step reads while it runs: files, listings, variables, modules, programs, random state.

`Watch` begins and ends with a run and gives `Reads`; the functions of `now` say what a recorded read would give today.
An audit hook sees what Python opens; while a run is open, stand-ins for a few functions see what fires no event; the
kernel tells of compiled code and of other processes.

Not seen, or not exactly:

- files that compiled code opens outside of the roots, and where the kernel tells nothing also functions of other
  packages that were imported by name, DuckDB's files in SQL, and what other programs read (this is said in `unseen`);
- looks by `os.stat` and the like if the function itself was imported by name (``from os import stat``), and what is
  behind ``lstat`` of code that is not the project's;
- variables that C code reads, and names looked up in a copy of the environment that no source of the project writes;
- whether compiled code of this process appends to a file or writes it anew, if the step reads it then: it is taken for
  the step's own work, and where the kernel does not tell whose an event is, so is what programs append to;
- mappings of files from before the run whose descriptor was closed, and files opened relative to a descriptor;
- a random generator whose seed was set before the first run by other means than the project's sources show;
- what functions keep of reads that were made while no run was open: `inherited` knows of runs alone.
"""
