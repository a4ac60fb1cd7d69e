"""The matrix: which row is which program, and how much of it each form tries."""

from functools import partial

from torture.bytes_served import served
from torture.calls import failing_calls, kill_points
from torture.concurrency import company
from torture.coverage import coverage
from torture.damage import flips, moved, prefixes
from torture.decoder import fuzz
from torture.disk_full import full
from torture.edited import edited
from torture.endings import clocks, endings
from torture.hostile import fuzzed_paths, swapped_folders
from torture.injected import injected_errors, injected_kills
from torture.interrupts import strikes
from torture.keys import identity, unhashable
from torture.locks import deleted_locks, live_or_dead
from torture.model import compound, programs
from torture.mutants_and_leaks import leaks, mutation
from torture.network import network
from torture.power import power_cuts
from torture.sigkill import abandoned, kills, together
from torture.simulation import simulations
from torture.trial import Row
from torture.views import golden, holders, replays

ROWS = (
    Row("R1", "acknowledged work survives SIGKILL", kills, 500, 10_000, 100_000),
    Row("R2", "killed at every call that changes something", kill_points, 3, 1, 1),
    Row("R2s", "the same at real system calls", injected_kills, 250, 5, 1),
    Row("R3", "no run stays running", abandoned, 10, 100, 500),
    Row("R4", "power loss", power_cuts, 2_500, 100_000, 500_000),
    Row("R5", "every byte prefix recovers", prefixes, 50, 300, 1_000),
    Row("R6", "every single-bit flip is detected", flips, 15, 300, 300),
    Row("R7", "records moved, dropped, doubled, spliced", moved, 20_000, 1_000_000, 1_000_000),
    Row("R8", "I/O errors at every call", partial(failing_calls, row="R8"), 3, 1, 0),
    Row("R8a", "the same in runs awaited, blocks, replays", partial(failing_calls, row="R8a"), 3, 1, 0),
    Row("R8c", "the same in scenarios, odd calls", partial(failing_calls, row="R8c"), 3, 1, 0),
    Row("R8d", "the same in scenarios, even calls", partial(failing_calls, row="R8d"), 3, 1, 0),
    Row("R8l", "the same in logging and failures", partial(failing_calls, row="R8l"), 3, 1, 0),
    Row("R8x", "the same in a redaction", partial(failing_calls, row="R8x"), 3, 1, 0),
    Row("R8s", "the same at real system calls", injected_errors, 250, 5, 1),
    Row("R9", "disk full, no room, no permission", full, 1, 1, 1),
    Row("R10", "many processes, one kill per second", together, 400, 16_000, 64_000, alone=True),
    Row("R11", "views and log held open meanwhile", holders, 20, 300, 1_000, alone=True),
    Row("R12", "the cache never serves wrong bytes", served, 300, 1_000, 10_000),
    Row("R13", "identity is sound and stable", identity, 40_000, 1_000_000, 10_000_000),
    Row("R14", "failure to hash is an error", unhashable, 1, 1, 1),
    Row("R15", "every ending is recorded", endings, 1, 1, 1),
    Row("R15i", "an interrupt wherever one can strike", strikes, 100, 50_000, 50_000),
    Row("R16", "order from the log, not the clock", clocks, 1, 1, 1),
    Row("R17", "replay is complete and deterministic", replays, 80, 5_000, 5_000),
    Row("R18", "old logs stay readable", golden, 1, 1, 1),
    Row("R19", "the decoder is robust", fuzz, 300_000, 50_000_000, 1_000_000_000),
    Row("R20", "the log does what a list does", programs, 200, 20_000, 20_000),
    Row("R21", "simulation of a machine", simulations, 200, 20_000, 1_000_000),
    Row("R22", "faults while recovering from faults", compound, 1_000, 5_000, 50_000),
    Row("R24", "threads, forks, pools, loops, interrupts", company, 200, 2_000, 10_000),
    Row("R25", "file systems like a network's", network, 8, 60, 200),
    Row("R26", "lock files deleted while processes are stopped", deleted_locks, 7, 1, 1),
    Row("R27", "who is dead is noticed, who lives is not called dead", live_or_dead, 20, 400, 2_000),
    Row("R28", "other people's SQL in the views serves nothing wrong", edited, 40, 1_000, 10_000),
    Row("S3", "no text leads out of its root", fuzzed_paths, 100_000, 1_000_000, 10_000_000),
    Row("S4", "no copy lands outside while folders are swapped", swapped_folders, 2_000, 10_000, 100_000),
    Row("Q1", "mutants of the core are noticed", mutation, 0, 30, 500),
    Row("Q1c", "every branch of the core is taken by a test", coverage, 0, 1, 1),
    Row("Q2", "a long life leaks nothing", leaks, 500, 10_000, 10_000),
)

TINY = {"R4": 400, "R5": 20, "R6": 3, "R7": 400, "R20": 25, "R21": 30, "R22": 150}
"""Counts for rows in memory where only a planted fault is to be noticed."""
