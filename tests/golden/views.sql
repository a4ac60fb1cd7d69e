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
   "producer_key" TEXT,
   "table_path" TEXT,
   "array_path" TEXT,
   "parent_id" TEXT,
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
CREATE TABLE "links" (
   "run_key" TEXT,
   "direction" TEXT,
   "name" TEXT,
   "artifact_id" TEXT,
   "position" INTEGER,
   "via" TEXT,
   "result" INTEGER,
   "seq" INTEGER,
   PRIMARY KEY ("run_key", "direction", "name", "artifact_id")
);
CREATE TABLE "materializations" (
   "seq" INTEGER PRIMARY KEY,
   "artifact_id" TEXT,
   "key" TEXT,
   "uri" TEXT,
   "source_uri" TEXT,
   "digest" TEXT,
   "reason" TEXT,
   "run_key" TEXT,
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
   "run_key" TEXT,
   "key" TEXT,
   "value_type" TEXT,
   "value_str" TEXT,
   "value_int" INTEGER,
   "value_float" REAL,
   "value_bool" INTEGER,
   "value_json" TEXT,
   PRIMARY KEY ("run_key", "key")
);
CREATE TABLE "run_tags" (
   "run_key" TEXT,
   "tag" TEXT,
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
   "parent_key" TEXT,
   "scenario_key" TEXT,
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
   "cache_source_key" TEXT,
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
   "environment" TEXT,
   "writer" TEXT,
   "started_at" TEXT,
   "ended_at" TEXT,
   "seconds" REAL,
   "error_type" TEXT,
   "error_message" TEXT,
   "error_traceback" TEXT,
   "failed_step" TEXT,
   "missing_outputs" TEXT,
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
CREATE INDEX "artifacts_by_key"
    ON "artifacts" ("key", "created_seq");
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
CREATE INDEX "cache_index_by_fingerprint"
    ON "cache_index" ("fingerprint", "seq");
CREATE INDEX "coupler_by_artifact"
    ON "coupler" ("artifact_id");
CREATE INDEX "links_by_artifact"
    ON "links" ("artifact_id", "direction");
CREATE INDEX "materializations_by_artifact"
    ON "materializations" ("artifact_id");
CREATE INDEX "run_facets_by_key"
    ON "run_facets" ("key", "value_str");
CREATE INDEX "run_tags_by_tag"
    ON "run_tags" ("tag");
CREATE UNIQUE INDEX "runs_by_attempt"
    ON "runs" ("run_id", "attempt");
CREATE INDEX "runs_by_fingerprint"
    ON "runs" ("fingerprint", "started_seq");
CREATE UNIQUE INDEX "runs_by_id"
    ON "runs" ("id");
CREATE INDEX "runs_by_kind"
    ON "runs" ("kind", "started_seq");
CREATE INDEX "runs_by_model"
    ON "runs" ("model", "started_seq");
CREATE INDEX "runs_by_name"
    ON "runs" ("name", "started_seq");
CREATE INDEX "runs_by_parent"
    ON "runs" ("parent_key", "started_seq");
CREATE INDEX "runs_by_scenario"
    ON "runs" ("scenario_key", "started_seq");
CREATE INDEX "runs_by_start"
    ON "runs" ("started_seq");
CREATE INDEX "runs_by_status"
    ON "runs" ("status", "started_seq");
CREATE INDEX "shared_parts_by_digest"
    ON "shared_parts" ("digest");
CREATE INDEX "shared_values_by_digest"
    ON "shared_values" ("digest", "seq");
