"""SQL views for people who query the file themselves: names in place of keys, one line per step, scenario and file."""

STEPS = """
SELECT r.id AS run, s.id AS scenario, r.name AS step, r.year, r.iteration, r.phase, r.stage, r.model,
    CASE WHEN r.status <> 'completed' THEN r.status WHEN r.cache IN ('hit', 'demoted', 'imported') THEN r.cache
        ELSE 'computed' END AS outcome,
    r.seconds, CASE WHEN r.cache = 'hit' THEN max(0.0, q.seconds - r.seconds) END AS saved_seconds,
    r.cache_reason AS reason, q.id AS source, r.started_at, r.ended_at, r.error_type, r.error_message, r.function,
    r.wall_s, r.cpu_s, r.peak_memory_bytes, r.read_bytes, r.written_bytes,
    r.fingerprint, r.key AS run_key, r.scenario_key, r.cache_source_key AS source_key, r.started_seq
FROM runs r LEFT JOIN runs s ON s.key = r.scenario_key LEFT JOIN runs q ON q.key = r.cache_source_key
WHERE r.kind <> 'scenario' ORDER BY r.started_seq
"""
"""One line per step. Outcomes: hit, computed, demoted, imported, failed, interrupted, abandoned, running; times in
seconds."""

SCENARIOS = """
SELECT r.id AS scenario, r.name, r.attempt, r.status, r.started_at, r.ended_at, r.seconds, r.description,
    (SELECT count(*) FROM runs i WHERE i.scenario_key = r.key AND i.kind <> 'scenario') AS steps,
    (SELECT count(*) FROM runs i
        WHERE i.scenario_key = r.key AND i.kind <> 'scenario' AND i.cache = 'hit') AS hits,
    (SELECT count(*) FROM runs i WHERE i.scenario_key = r.key AND i.kind <> 'scenario'
        AND i.status IN ('failed', 'interrupted', 'abandoned')) AS failed,
    r.key AS scenario_key, r.started_seq
FROM runs r WHERE r.kind = 'scenario' ORDER BY r.started_seq
"""
"""One line per attempt of a scenario."""

FILES = """
SELECT a.uri, a.digest, min(a.key) AS key, a.driver, max(a.rows) AS rows,
    max(a.size) AS bytes,
    min(p.id) AS made_by, count(DISTINCT a.artifact_id) AS records,
    (SELECT count(DISTINCT l.run_key) FROM artifacts b JOIN links l ON l.artifact_id = b.artifact_id
        JOIN runs u ON u.key = l.run_key
        WHERE b.uri = a.uri AND b.digest IS a.digest AND l.direction = 'input' AND u.kind <> 'scenario')
        AS used_by,
    min(a.created_at) AS first_recorded
FROM artifacts a LEFT JOIN runs p ON p.key = a.producer_key GROUP BY a.uri, a.digest
"""
"""One line per file or table and content: a file from outside is recorded anew in each scenario."""
