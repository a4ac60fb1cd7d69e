CREATE VIEW "files" AS 
SELECT a.uri, a.digest, min(a.key) AS key, a.driver, max(a.rows) AS rows,
    max(a.size) AS bytes,
    min(p.id) AS made_by, count(DISTINCT a.artifact_id) AS records,
    (SELECT count(DISTINCT l.run_key) FROM artifacts b JOIN links l ON l.artifact_id = b.artifact_id
        JOIN runs u ON u.key = l.run_key
        WHERE b.uri = a.uri AND b.digest IS a.digest AND l.direction = 'input' AND u.kind <> 'scenario')
        AS used_by,
    min(a.created_at) AS first_recorded
FROM artifacts a LEFT JOIN runs p ON p.key = a.producer_key GROUP BY a.uri, a.digest;
CREATE VIEW "lineage_edges" AS 
SELECT p.id AS producer, a.key AS artifact, l.name AS role, r.id AS consumer, a.producer_key, l.artifact_id,
    l.run_key AS consumer_key
FROM links l JOIN artifacts a ON a.artifact_id = l.artifact_id JOIN runs r ON r.key = l.run_key
    LEFT JOIN runs p ON p.key = a.producer_key
WHERE l.direction = 'input' ORDER BY r.started_seq, l.seq, l.position;
CREATE VIEW "run_inputs" AS 
SELECT r.id AS run, l.name AS role, a.key, a.uri, a.digest, a.kind, p.id AS producer, l.via, l.run_key, l.artifact_id
FROM links l JOIN runs r ON r.key = l.run_key LEFT JOIN artifacts a ON a.artifact_id = l.artifact_id
    LEFT JOIN runs p ON p.key = a.producer_key
WHERE l.direction = 'input' ORDER BY r.started_seq, l.seq, l.position;
CREATE VIEW "run_outputs" AS 
SELECT r.id AS run, l.name AS key, a.uri, a.digest, a.kind, a.size, p.id AS producer, l.via, l.run_key, l.artifact_id
FROM links l JOIN runs r ON r.key = l.run_key LEFT JOIN artifacts a ON a.artifact_id = l.artifact_id
    LEFT JOIN runs p ON p.key = a.producer_key
WHERE l.direction = 'output' ORDER BY r.started_seq, l.seq, l.position;
CREATE VIEW "scenarios" AS 
SELECT r.id AS scenario, r.name, r.attempt, r.status, r.started_at, r.ended_at, r.seconds, r.description,
    (SELECT count(*) FROM runs i WHERE i.scenario_key = r.key AND i.kind <> 'scenario') AS steps,
    (SELECT count(*) FROM runs i
        WHERE i.scenario_key = r.key AND i.kind <> 'scenario' AND i.cache = 'hit') AS hits,
    (SELECT count(*) FROM runs i WHERE i.scenario_key = r.key AND i.kind <> 'scenario'
        AND i.status IN ('failed', 'interrupted', 'abandoned')) AS failed,
    r.key AS scenario_key, r.started_seq
FROM runs r WHERE r.kind = 'scenario' ORDER BY r.started_seq;
CREATE VIEW "steps" AS 
SELECT r.id AS run, s.id AS scenario, r.name AS step, r.year, r.iteration, r.phase, r.stage, r.model,
    CASE WHEN r.status <> 'completed' THEN r.status WHEN r.cache IN ('hit', 'demoted', 'imported') THEN r.cache
        ELSE 'computed' END AS outcome,
    r.seconds, CASE WHEN r.cache = 'hit' THEN max(0.0, q.seconds - r.seconds) END AS saved_seconds,
    r.cache_reason AS reason, q.id AS source, r.started_at, r.ended_at, r.error_type, r.error_message, r.function,
    r.wall_s, r.cpu_s, r.peak_memory_bytes, r.read_bytes, r.written_bytes,
    r.fingerprint, r.key AS run_key, r.scenario_key, r.cache_source_key AS source_key, r.started_seq
FROM runs r LEFT JOIN runs s ON s.key = r.scenario_key LEFT JOIN runs q ON q.key = r.cache_source_key
WHERE r.kind <> 'scenario' ORDER BY r.started_seq;
CREATE TABLE "acceptances" (
   "seq" INTEGER PRIMARY KEY,
   "fingerprint" TEXT,
   "as_fingerprint" TEXT,
   "run_key" TEXT,
   "as_run_key" TEXT,
   "reason" TEXT,
   "user" TEXT,
   "differs" TEXT,
   "at" TEXT,
   "writer" TEXT,
   "revoked_seq" INTEGER
);
CREATE TABLE "artifacts" (
   "artifact_id" TEXT PRIMARY KEY,
   "key" TEXT,
   "uri" TEXT,
   "root" TEXT,
   "kind" TEXT,
   "driver" TEXT,
   "digest" TEXT,
   "digest_method" TEXT,
   "size" INTEGER,
   "mtime_ns" INTEGER,
   "producer_key" TEXT REFERENCES "runs"("key"),
   "table_path" TEXT,
   "array_path" TEXT,
   "parent_id" TEXT REFERENCES "artifacts"("artifact_id"),
   "schema" TEXT,
   "rows" INTEGER,
   "facet" TEXT,
   "facet_schema_version" TEXT,
   "meta" TEXT,
   "created_at" TEXT,
   "created_seq" INTEGER
);
CREATE TABLE "audit_index" (
   "seq" INTEGER PRIMARY KEY,
   "scenario_key" TEXT,
   "run_key" TEXT,
   "type" TEXT,
   "at" TEXT,
   "writer" TEXT,
   "segment" INTEGER,
   "offset" INTEGER
);
CREATE TABLE "cache_index" (
   "run_key" TEXT PRIMARY KEY,
   "fingerprint" TEXT,
   "seq" INTEGER,
   "outputs" TEXT,
   "all_outputs" TEXT,
   "observed" TEXT,
   "reads" TEXT,
   "effects" TEXT,
   "writer" TEXT
);
CREATE TABLE "carried_over" (
   "before" TEXT PRIMARY KEY,
   "fingerprint" TEXT,
   "seq" INTEGER
);
CREATE TABLE "checkpoint" (
   "id" INTEGER PRIMARY KEY,
   "seq" INTEGER,
   "segment" INTEGER,
   "offset" INTEGER,
   "chain" TEXT,
   "rows" TEXT
);
CREATE TABLE "copies" (
   "seq" INTEGER PRIMARY KEY,
   "artifact_id" TEXT,
   "key" TEXT,
   "uri" TEXT,
   "root" TEXT,
   "recovery_root" TEXT,
   "digest" TEXT,
   "content" TEXT,
   "how" TEXT,
   "run_key" TEXT,
   "at" TEXT,
   "writer" TEXT
);
CREATE TABLE "coupler" (
   "scenario_key" TEXT,
   "key" TEXT,
   "artifact_id" TEXT,
   "value" TEXT,
   "set_by" TEXT,
   "seq" INTEGER,
   "first_seq" INTEGER,
   PRIMARY KEY ("scenario_key", "key")
);
CREATE TABLE "dead_letter" (
   "seq" INTEGER,
   "projection" TEXT,
   "type" TEXT,
   "error" TEXT,
   PRIMARY KEY ("seq", "projection")
);
CREATE TABLE "declared_outputs" (
   "scenario_key" TEXT,
   "key" TEXT,
   "required" INTEGER,
   "description" TEXT,
   "warn_undefined" INTEGER,
   "seq" INTEGER,
   "position" INTEGER,
   PRIMARY KEY ("scenario_key", "key")
);
CREATE TABLE "doubted" (
   "run_key" TEXT PRIMARY KEY,
   "by_key" TEXT,
   "seq" INTEGER
);
CREATE TABLE "environments" (
   "digest" TEXT PRIMARY KEY,
   "python" TEXT,
   "platform" TEXT,
   "packages" TEXT,
   "git_commit" TEXT,
   "git_dirty" TEXT,
   "variables" TEXT,
   "at" TEXT,
   "seq" INTEGER
);
CREATE TABLE "evictions" (
   "seq" INTEGER PRIMARY KEY,
   "artifact_id" TEXT,
   "key" TEXT,
   "uri" TEXT,
   "root" TEXT,
   "digest" TEXT,
   "size" INTEGER,
   "eviction" TEXT,
   "policy" TEXT,
   "user" TEXT,
   "run_key" TEXT,
   "at" TEXT
);
CREATE TABLE "links" (
   "run_key" TEXT REFERENCES "runs"("key"),
   "direction" TEXT,
   "name" TEXT,
   "artifact_id" TEXT REFERENCES "artifacts"("artifact_id"),
   "position" INTEGER,
   "via" TEXT,
   "result" INTEGER,
   "seq" INTEGER,
   PRIMARY KEY ("run_key", "direction", "name", "artifact_id")
);
CREATE TABLE "materializations" (
   "seq" INTEGER PRIMARY KEY,
   "artifact_id" TEXT REFERENCES "artifacts"("artifact_id"),
   "key" TEXT,
   "uri" TEXT,
   "source_uri" TEXT,
   "digest" TEXT,
   "reason" TEXT,
   "run_key" TEXT REFERENCES "runs"("key"),
   "at" TEXT
);
CREATE TABLE "meta" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT
);
CREATE TABLE "observed_reads" (
   "digest" TEXT PRIMARY KEY,
   "reads" TEXT,
   "seq" INTEGER
);
CREATE TABLE "package_acceptances" (
   "seq" INTEGER,
   "name" TEXT,
   "before" TEXT,
   "after" TEXT,
   "reason" TEXT,
   "user" TEXT,
   "at" TEXT,
   "writer" TEXT,
   "revoked_seq" INTEGER,
   PRIMARY KEY ("seq", "name")
);
CREATE TABLE "pins" (
   "seq" INTEGER PRIMARY KEY,
   "artifact_id" TEXT,
   "run_key" TEXT,
   "name" TEXT,
   "reason" TEXT,
   "user" TEXT,
   "at" TEXT
);
CREATE TABLE "redactions" (
   "position" INTEGER PRIMARY KEY,
   "type" TEXT,
   "digest" TEXT,
   "size" INTEGER,
   "reason" TEXT,
   "user" TEXT,
   "at" TEXT,
   "seq" INTEGER
);
CREATE TABLE "run_facets" (
   "run_key" TEXT REFERENCES "runs"("key"),
   "key" TEXT,
   "value_type" TEXT,
   "value_str" TEXT,
   "value_int" INTEGER,
   "value_float" REAL,
   "value_bool" INTEGER,
   "value_json" TEXT,
   "seq" INTEGER,
   PRIMARY KEY ("run_key", "key")
);
CREATE TABLE "run_meta" (
   "run_key" TEXT,
   "key" TEXT,
   "value" BLOB,
   "seq" INTEGER,
   PRIMARY KEY ("run_key", "key")
);
CREATE TABLE "run_tags" (
   "run_key" TEXT REFERENCES "runs"("key"),
   "tag" TEXT,
   "seq" INTEGER,
   PRIMARY KEY ("run_key", "tag")
);
CREATE TABLE "runs" (
   "key" TEXT PRIMARY KEY,
   "run_id" TEXT NOT NULL,
   "attempt" INTEGER NOT NULL,
   "id" TEXT NOT NULL,
   "kind" TEXT NOT NULL,
   "name" TEXT,
   "model" TEXT,
   "function" TEXT,
   "parent_key" TEXT REFERENCES "runs"("key"),
   "scenario_key" TEXT REFERENCES "runs"("key"),
   "status" TEXT NOT NULL,
   "description" TEXT,
   "year" INTEGER,
   "iteration" INTEGER,
   "phase" TEXT,
   "stage" TEXT,
   "tags" TEXT,
   "config" TEXT,
   "facet" TEXT,
   "facet_schema_version" TEXT,
   "meta" TEXT,
   "fingerprint" TEXT,
   "code_digest" TEXT,
   "config_digest" TEXT,
   "inputs_digest" TEXT,
   "labels_digest" TEXT,
   "fingerprint_info" TEXT,
   "inputs" TEXT,
   "cache_mode" TEXT,
   "cache" TEXT,
   "cache_source_key" TEXT REFERENCES "runs"("key"),
   "cache_reason" TEXT,
   "cache_differs" TEXT,
   "cache_differences" TEXT,
   "cache_details" TEXT,
   "declared" TEXT,
   "missing" TEXT,
   "reusable" INTEGER,
   "not_reusable_reason" TEXT,
   "options" TEXT,
   "mounts" TEXT,
   "run_dir" TEXT,
   "artifact_dir" TEXT,
   "environment" TEXT REFERENCES "environments"("digest"),
   "writer" TEXT REFERENCES "writers"("writer"),
   "started_at" TEXT,
   "ended_at" TEXT,
   "seconds" REAL,
   "error_type" TEXT,
   "error_message" TEXT,
   "error_traceback" TEXT,
   "failed_step" TEXT,
   "missing_outputs" TEXT,
   "log" TEXT,
   "wall_s" REAL,
   "cpu_s" REAL,
   "peak_memory_bytes" INTEGER,
   "read_bytes" INTEGER,
   "written_bytes" INTEGER,
   "shared" INTEGER,
   "sweep" TEXT,
   "sweep_row" TEXT,
   "started_seq" INTEGER,
   "ended_seq" INTEGER
);
CREATE TABLE "shared_parts" (
   "run_key" TEXT,
   "part" TEXT,
   "digest" TEXT,
   "seq" INTEGER,
   PRIMARY KEY ("run_key", "part")
);
CREATE TABLE "shared_values" (
   "seq" INTEGER PRIMARY KEY,
   "digest" TEXT,
   "value" TEXT
);
CREATE TABLE "source_texts" (
   "digest" TEXT PRIMARY KEY,
   "part" TEXT,
   "text" TEXT
);
CREATE TABLE "sweeps" (
   "sweep" TEXT PRIMARY KEY,
   "scenario_key" TEXT REFERENCES "runs"("key"),
   "name" TEXT,
   "rows" INTEGER,
   "ids" TEXT,
   "executor" TEXT,
   "writer" TEXT REFERENCES "writers"("writer"),
   "started_at" TEXT,
   "seq" INTEGER,
   "ended_at" TEXT,
   "seconds" REAL,
   "computed" INTEGER,
   "hits" INTEGER,
   "failed" INTEGER,
   "lost" INTEGER,
   "waiting" INTEGER
);
CREATE TABLE "writers" (
   "writer" TEXT PRIMARY KEY,
   "host" TEXT,
   "boot" TEXT,
   "pid" INTEGER,
   "pid_started" TEXT,
   "user" TEXT,
   "library" TEXT,
   "python" TEXT,
   "platform" TEXT,
   "at" TEXT,
   "seq" INTEGER,
   "machine" TEXT,
   "pid_namespace" TEXT,
   "lock" TEXT
);
CREATE INDEX "acceptances_by_fingerprint"
    ON "acceptances" ("fingerprint", "seq");
CREATE INDEX "artifacts_by_digest"
    ON "artifacts" ("digest");
CREATE INDEX "artifacts_by_driver"
    ON "artifacts" ("driver");
CREATE INDEX "artifacts_by_key"
    ON "artifacts" ("key", "created_seq");
CREATE INDEX "artifacts_by_kind"
    ON "artifacts" ("kind");
CREATE INDEX "artifacts_by_parent"
    ON "artifacts" ("parent_id");
CREATE INDEX "artifacts_by_producer"
    ON "artifacts" ("producer_key");
CREATE INDEX "artifacts_by_uri"
    ON "artifacts" ("uri", "created_seq");
CREATE INDEX "audit_index_by_run"
    ON "audit_index" ("run_key", "seq");
CREATE INDEX "audit_index_by_scenario"
    ON "audit_index" ("scenario_key", "seq");
CREATE INDEX audit_index_of_revocations ON audit_index (type, seq)
    WHERE type IN ('acceptance_revoked', 'packages_revoked');
CREATE INDEX "cache_index_by_fingerprint"
    ON "cache_index" ("fingerprint", "seq");
CREATE INDEX "copies_by_artifact"
    ON "copies" ("artifact_id", "uri");
CREATE INDEX "copies_by_digest"
    ON "copies" ("digest");
CREATE INDEX "coupler_by_artifact"
    ON "coupler" ("artifact_id");
CREATE INDEX "coupler_by_key"
    ON "coupler" ("key", "seq");
CREATE INDEX "evictions_by_artifact"
    ON "evictions" ("artifact_id");
CREATE INDEX "evictions_by_call"
    ON "evictions" ("eviction");
CREATE INDEX "links_by_artifact"
    ON "links" ("artifact_id", "direction");
CREATE INDEX "materializations_by_artifact"
    ON "materializations" ("artifact_id");
CREATE INDEX "pins_by_artifact"
    ON "pins" ("artifact_id");
CREATE INDEX "pins_by_run"
    ON "pins" ("run_key");
CREATE INDEX run_facets_by_value ON run_facets
    (key, coalesce(value_str, value_int, value_float, value_bool, value_json), seq);
CREATE INDEX "run_meta_by_value"
    ON "run_meta" ("key", "value", "seq");
CREATE INDEX "run_tags_by_tag"
    ON "run_tags" ("tag", "seq");
CREATE UNIQUE INDEX "runs_by_attempt"
    ON "runs" ("run_id", "attempt");
CREATE INDEX runs_by_fingerprint ON runs (fingerprint, started_seq)
    WHERE kind <> 'scenario' AND cache IS NOT 'hit';
CREATE UNIQUE INDEX "runs_by_id"
    ON "runs" ("id");
CREATE INDEX runs_by_iteration ON runs (iteration, started_seq) WHERE iteration IS NOT NULL;
CREATE INDEX "runs_by_kind"
    ON "runs" ("kind", "started_seq");
CREATE INDEX "runs_by_model"
    ON "runs" ("model", "started_seq");
CREATE INDEX "runs_by_name"
    ON "runs" ("name", "started_seq");
CREATE INDEX "runs_by_parent"
    ON "runs" ("parent_key", "started_seq");
CREATE INDEX runs_by_phase ON runs (phase, started_seq) WHERE phase IS NOT NULL;
CREATE INDEX "runs_by_scenario"
    ON "runs" ("scenario_key", "started_seq");
CREATE INDEX runs_by_stage ON runs (stage, started_seq) WHERE stage IS NOT NULL;
CREATE INDEX "runs_by_start"
    ON "runs" ("started_seq");
CREATE INDEX "runs_by_status"
    ON "runs" ("status", "started_seq");
CREATE INDEX runs_by_sweep ON runs (sweep, started_seq) WHERE sweep IS NOT NULL;
CREATE INDEX runs_by_year ON runs (year, started_seq) WHERE year IS NOT NULL;
CREATE INDEX runs_computed_by_model ON runs (model, started_seq)
    WHERE status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit' AND cache IS NOT 'imported';
CREATE INDEX runs_computed_by_name ON runs (name, started_seq)
    WHERE status = 'completed' AND kind <> 'scenario' AND cache IS NOT 'hit' AND cache IS NOT 'imported';
CREATE INDEX runs_imported ON runs (key, cache_details, status) WHERE cache = 'imported';
CREATE INDEX "shared_parts_by_digest"
    ON "shared_parts" ("digest");
CREATE INDEX "shared_values_by_digest"
    ON "shared_values" ("digest", "seq");
CREATE INDEX "sweeps_by_scenario"
    ON "sweeps" ("scenario_key", "seq");
