"""Questions that people ask of a project in Datasette, as SQL on the views.

A parameter that is left empty means what is there: the newest or first scenario, the newest file.
"""

from typing import NamedTuple


class Question(NamedTuple):
    """A canned query."""

    title: str
    description: str
    sql: str


QUESTIONS: dict[str, Question] = {
    "scenarios_so_far": Question(
        "Scenarios, newest first",
        "With the steps of each, how many were reused or failed, and what the cache saved.",
        """
SELECT c.scenario, c.status, c.started_at, round(c.seconds, 2) AS seconds, c.steps, c.hits, c.failed,
  (SELECT round(sum(s.saved_seconds), 2) FROM steps s WHERE s.scenario_key = c.scenario_key) AS saved_seconds,
  c.description
FROM scenarios c ORDER BY c.started_seq DESC""",
    ),
    "settings_of_scenarios": Question(
        "Settings of scenarios",
        "Each setting of each scenario's own config, for a facet by setting or value.",
        """
SELECT c.scenario, j.key AS setting, j.value, c.started_at
FROM scenarios c JOIN runs r ON r.key = c.scenario_key
  JOIN json_each(CASE WHEN json_type(r.config) = 'object' THEN r.config ELSE '{}' END) j
ORDER BY c.started_seq DESC, setting""",
    ),
    "misses_by_reason": Question(
        "Misses by reason",
        "Why steps were computed, and what that took.",
        """
SELECT coalesce(reason, 'not recorded') AS reason, count(*) AS steps, round(sum(seconds), 2) AS seconds
FROM steps WHERE outcome <> 'hit' GROUP BY 1 ORDER BY 3 DESC""",
    ),
    "misses_by_difference": Question(
        "Misses by what differed",
        "Each difference from the nearest earlier run.",
        """
SELECT json_extract(d.value, '$.kind') AS kind, json_extract(d.value, '$.key') AS what, count(*) AS steps,
  round(sum(r.seconds), 2) AS seconds
FROM runs r JOIN json_each(r.cache_differences) d
WHERE r.kind <> 'scenario' GROUP BY 1, 2 ORDER BY 4 DESC LIMIT 200""",
    ),
    "slowest_steps": Question(
        "Slowest steps",
        "Computed steps by the time they took.",
        """
SELECT scenario, step, year, iteration, phase, round(seconds, 3) AS seconds, outcome, run
FROM steps WHERE outcome <> 'hit' ORDER BY steps.seconds DESC LIMIT 100""",
    ),
    "time_by_step": Question(
        "Where the time went",
        "For each name of a step: how often it was computed and reused, the time, and what the cache saved.",
        """
SELECT step, sum(outcome <> 'hit') AS computed, sum(outcome = 'hit') AS reused,
  round(total(CASE WHEN outcome <> 'hit' THEN seconds END), 2) AS seconds,
  round(avg(CASE WHEN outcome <> 'hit' THEN seconds END), 3) AS mean_seconds,
  round(total(saved_seconds), 2) AS saved_seconds
FROM steps GROUP BY 1 ORDER BY 4 DESC""",
    ),
    "hours_saved": Question(
        "Hours saved, by day",
        "What hits saved: the time of the runs that answered, less their own.",
        """
SELECT substr(started_at, 1, 10) AS day, count(*) AS hits, round(total(saved_seconds) / 3600.0, 4) AS hours_saved
FROM steps WHERE outcome = 'hit' GROUP BY 1 ORDER BY 1""",
    ),
    "failures": Question(
        "Steps that did not end well",
        "Newest first, with the error.",
        """
SELECT scenario, step, year, iteration, outcome, error_type, error_message, started_at, run
FROM steps WHERE outcome IN ('failed', 'interrupted', 'abandoned') ORDER BY started_seq DESC LIMIT 500""",
    ),
    "steps_of_scenario": Question(
        "Steps of a scenario",
        "In the order in which they began. Without a name, of the newest scenario.",
        """
SELECT step, year, iteration, phase, outcome, round(seconds, 3) AS seconds, reason, source, run
FROM steps WHERE scenario_key = (
  SELECT scenario_key FROM scenarios WHERE :scenario IN ('', scenario) ORDER BY started_seq DESC LIMIT 1)
ORDER BY started_seq""",
    ),
    "compare_two": Question(
        "Compare two scenarios",
        "Step by step: whether it is the same work. The first row that is not says where they part. Without names, "
        "the first scenario and the newest.",
        """
WITH chosen AS (
  SELECT (SELECT scenario_key FROM scenarios WHERE :a IN ('', scenario) ORDER BY started_seq LIMIT 1) AS a,
    (SELECT scenario_key FROM scenarios WHERE :b IN ('', scenario) ORDER BY started_seq DESC LIMIT 1) AS b),
numbered AS (
  SELECT s.*, r.config, r.code_digest,
    row_number() OVER (PARTITION BY s.scenario_key, s.step, s.year, s.iteration, s.phase ORDER BY s.started_seq) AS nth
  FROM chosen, steps s JOIN runs r ON r.key = s.run_key WHERE s.scenario_key IN (chosen.a, chosen.b))
SELECT a.step, a.year, a.iteration, a.phase, a.fingerprint IS b.fingerprint AS same_work,
  a.config IS NOT b.config AS config_differs, a.code_digest IS NOT b.code_digest AS code_differs,
  round(a.seconds, 3) AS a_seconds, round(b.seconds, 3) AS b_seconds, a.run AS a_run, b.run AS b_run
FROM chosen JOIN numbered a ON a.scenario_key = chosen.a
  LEFT JOIN numbered b ON b.scenario_key = chosen.b AND b.step = a.step AND b.year IS a.year
    AND b.iteration IS a.iteration AND b.phase IS a.phase AND b.nth = a.nth
ORDER BY a.started_seq""",
    ),
    "first_divergence": Question(
        "Where scenarios part from one",
        "The first step of each scenario that is not the same work. Without a name, from the first scenario.",
        """
WITH base AS (
  SELECT scenario_key AS key FROM scenarios WHERE :base IN ('', scenario) ORDER BY started_seq LIMIT 1),
numbered AS (
  SELECT s.*, r.config, r.code_digest,
    row_number() OVER (PARTITION BY s.scenario_key, s.step, s.year, s.iteration, s.phase ORDER BY s.started_seq) AS nth
  FROM steps s JOIN runs r ON r.key = s.run_key WHERE s.scenario_key IS NOT NULL),
parting AS (
  SELECT b.scenario, b.step, b.year, b.iteration, a.config AS config_there, b.config,
    a.code_digest IS NOT b.code_digest AS code_differs, b.run, b.started_seq,
    row_number() OVER (PARTITION BY b.scenario_key ORDER BY b.started_seq) AS place
  FROM base JOIN numbered b ON b.scenario_key <> base.key
    LEFT JOIN numbered a ON a.scenario_key = base.key AND a.step = b.step AND a.year IS b.year
      AND a.iteration IS b.iteration AND a.phase IS b.phase AND a.nth = b.nth
  WHERE a.fingerprint IS NOT b.fingerprint)
SELECT scenario, step, year, iteration, config_there, config, code_differs, run
FROM parting WHERE place = 1 ORDER BY started_seq""",
    ),
    "lineage_up": Question(
        "What a file was made from",
        "Give its id, key or a part of its URI; the newest that fits is taken.",
        """
WITH RECURSIVE above(artifact_id, steps_back) AS (
  SELECT artifact_id, 0 FROM (
    SELECT artifact_id FROM artifacts WHERE :file IN ('', artifact_id, key) OR instr(uri, :file)
    ORDER BY producer_key IS NULL, created_seq DESC LIMIT 1)
  UNION SELECT l.artifact_id, above.steps_back + 1 FROM above JOIN artifacts a USING (artifact_id)
    JOIN links l ON l.run_key = a.producer_key AND l.direction = 'input' WHERE above.steps_back < 40)
SELECT min(above.steps_back) AS steps_back, a.key, p.id AS made_by, a.uri, a.rows, a.size, a.digest
FROM above JOIN artifacts a USING (artifact_id) LEFT JOIN runs p ON p.key = a.producer_key
GROUP BY a.artifact_id ORDER BY 1, a.created_seq DESC LIMIT 500""",
    ),
    "lineage_down": Question(
        "What was made from a file",
        "Give its id, key or a part of its URI; every record of the same bytes counts. Without one, from the first "
        "file of the project.",
        """
WITH RECURSIVE start AS (
  SELECT digest, artifact_id FROM artifacts WHERE :file IN ('', artifact_id, key) OR instr(uri, :file)
  ORDER BY created_seq LIMIT 1),
below(artifact_id, steps_on) AS (
  SELECT a.artifact_id, 0 FROM start JOIN artifacts a ON a.digest = start.digest OR a.artifact_id = start.artifact_id
  UNION SELECT a.artifact_id, below.steps_on + 1 FROM below
    JOIN links l ON l.artifact_id = below.artifact_id AND l.direction = 'input'
    JOIN artifacts a ON a.producer_key = l.run_key WHERE below.steps_on < 40)
SELECT min(below.steps_on) AS steps_on, a.key, p.id AS made_by, a.uri, a.rows, a.size
FROM below JOIN artifacts a USING (artifact_id) LEFT JOIN runs p ON p.key = a.producer_key
GROUP BY a.artifact_id ORDER BY 1, a.created_seq LIMIT 500""",
    ),
    "same_content": Question(
        "Files with the same content",
        "Contents that lie in more than one place, and the bytes that could be saved.",
        """
SELECT digest, count(*) AS places, max(bytes) AS bytes_each, sum(bytes) - max(bytes) AS bytes_twice,
  group_concat(DISTINCT key) AS keys
FROM files WHERE digest IS NOT NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY 4 DESC LIMIT 200""",
    ),
    "external_inputs": Question(
        "What came from outside",
        "Files that no run made, and how many steps used each.",
        """
SELECT uri, key, bytes, digest, used_by, records, first_recorded
FROM files WHERE made_by IS NULL ORDER BY used_by DESC, uri LIMIT 500""",
    ),
    "row_counts": Question(
        "Rows of an output over scenarios",
        "Rows and bytes of the outputs with a key. Without one, of the newest output that has rows.",
        """
SELECT s.scenario, s.step, s.year, s.iteration, a.rows, a.size, s.outcome, s.run
FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id JOIN steps s ON s.run_key = l.run_key
WHERE l.direction = 'output' AND l.name = CASE WHEN :key <> '' THEN :key ELSE (
  SELECT key FROM artifacts WHERE producer_key IS NOT NULL ORDER BY rows IS NULL, created_seq DESC LIMIT 1) END
ORDER BY s.year, s.iteration, s.started_seq LIMIT 1000""",
    ),
    "computed_to_the_same_bytes": Question(
        "Computed to the same bytes",
        "Steps computed anew whose outputs are those of the nearest earlier run: candidates for consist-es accept.",
        """
SELECT s.scenario, s.step, s.year, s.iteration, s.reason, round(s.seconds, 3) AS seconds, s.run, s.source
FROM steps s WHERE s.outcome = 'computed' AND s.source IS NOT NULL
  AND EXISTS (SELECT 1 FROM links WHERE run_key = s.run_key AND direction = 'output')
  AND NOT EXISTS (
    SELECT 1 FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id
      LEFT JOIN links m ON m.run_key = s.source_key AND m.direction = 'output' AND m.name = l.name
      LEFT JOIN artifacts b ON b.artifact_id = m.artifact_id
    WHERE l.run_key = s.run_key AND l.direction = 'output' AND (a.digest IS NULL OR a.digest IS NOT b.digest))
ORDER BY s.seconds DESC LIMIT 500""",
    ),
    "software": Question(
        "Software that runs saw",
        "Software environments, and the runs of each.",
        """
SELECT e.python, e.git_commit, e.git_dirty IS NOT NULL AS uncommitted_changes, count(r.key) AS runs,
  min(r.started_at) AS first_run, max(r.started_at) AS last_run, e.platform, e.digest
FROM environments e LEFT JOIN runs r ON r.environment = e.digest GROUP BY e.digest ORDER BY first_run""",
    ),
}
"""Name -> question."""
