-- Projects of consist-es in one schema of a PostgreSQL database (12 or newer). `consist-es db init` runs this once, as
-- the owner of the database. A record is byte for byte the line of a log in files, so a log moves either way with its
-- chain whole.

CREATE SCHEMA consist_es;

CREATE TABLE consist_es.format (version int NOT NULL, at timestamptz NOT NULL DEFAULT now());
INSERT INTO consist_es.format (version) VALUES (1);

CREATE TABLE consist_es.project (
    no      int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id      text NOT NULL UNIQUE CHECK (id <> ''),
    name    text NOT NULL UNIQUE CHECK (name <> ''),
    genesis text NOT NULL CHECK (length(genesis) = 43),
    since   timestamptz NOT NULL
);

-- No row holds the head: each append would update it, and its dead versions stay as long as any transaction is open.
-- The last event is the head. An advisory lock for each project, held to the end of the transaction, makes positions
-- gapless and their order that of the commits.
CREATE TABLE consist_es.event (
    project  int NOT NULL REFERENCES consist_es.project,
    seq      bigint NOT NULL,
    id       text NOT NULL,
    type     text NOT NULL,
    scenario text,
    run      text,
    at       timestamptz NOT NULL,
    line     text NOT NULL,                        -- without its newline
    login    text NOT NULL DEFAULT session_user,   -- the server's word, not in the chain
    PRIMARY KEY (project, seq)
);
CREATE INDEX event_id ON consist_es.event (project, id);
CREATE INDEX event_scenario ON consist_es.event (project, scenario, seq) WHERE scenario IS NOT NULL;

-- Payloads too large for a line.
CREATE TABLE consist_es.blob (
    project int NOT NULL REFERENCES consist_es.project,
    digest  text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    data    bytea NOT NULL,
    PRIMARY KEY (project, digest)
);
ALTER TABLE consist_es.blob ALTER data SET STORAGE EXTERNAL;

-- Who computes what. Leases, for a session's lock does not survive a pooler, a reconnect or a restart of the server.
CREATE TABLE consist_es.claim (
    project int NOT NULL REFERENCES consist_es.project,
    work    text NOT NULL,
    token   text NOT NULL,
    who     text NOT NULL,
    marks   text NOT NULL,                         -- of its process, as in `writer_attached`
    until   timestamptz NOT NULL,
    PRIMARY KEY (project, work)
) WITH (fillfactor = 50);

-- Until when each writer counts as alive. It renews that while it lives.
CREATE TABLE consist_es.writer (
    project int NOT NULL REFERENCES consist_es.project,
    name    text NOT NULL,
    until   timestamptz NOT NULL,
    PRIMARY KEY (project, name)
) WITH (fillfactor = 50);

-- The key that masks secrets: the same for all who append, and readable through `mask_key` alone.
CREATE TABLE consist_es.secret (
    project int PRIMARY KEY REFERENCES consist_es.project,
    key     bytea NOT NULL CHECK (octet_length(key) = 32)
);

CREATE TABLE consist_es.member (
    project int NOT NULL REFERENCES consist_es.project,
    role    name NOT NULL,
    may     text NOT NULL CHECK (may IN ('read', 'append', 'redact')),
    PRIMARY KEY (project, role, may)
);

CREATE FUNCTION consist_es.may(p int, what text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
    SELECT EXISTS (
        SELECT 1 FROM member m
        WHERE m.project = p AND (m.may = what OR what = 'read') AND pg_has_role(session_user, m.role, 'MEMBER')
    )
$$;

CREATE FUNCTION consist_es.require(p int, what text) RETURNS void
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    IF NOT may(p, what) THEN
        RAISE insufficient_privilege USING MESSAGE = format('%s has no right to %s here', session_user, what);
    END IF;
END $$;

CREATE FUNCTION consist_es.head(p int) RETURNS TABLE (seq bigint, chain text, at timestamptz)
LANGUAGE sql STABLE SET search_path = consist_es, pg_temp AS $$
    (SELECT e.seq, left(right(e.line, 45), 43), e.at FROM event e WHERE e.project = p ORDER BY e.seq DESC LIMIT 1)
    UNION ALL
    (SELECT 0, j.genesis, j.since FROM project j
     WHERE j.no = p AND NOT EXISTS (SELECT 1 FROM event e WHERE e.project = p))
$$;

-- The head, locked to the end of the transaction. A client that falls silent meanwhile loses the lock after 10 s.
CREATE FUNCTION consist_es.lock_head(p int) RETURNS TABLE (seq bigint, chain text, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    PERFORM require(p, 'append');
    PERFORM set_config('idle_in_transaction_session_timeout', '10s', true), set_config('lock_timeout', '60s', true);
    PERFORM pg_advisory_xact_lock(1668183923, p);
    RETURN QUERY SELECT * FROM head(p);            -- a statement of its own: it sees what was committed meanwhile
    PERFORM 1 FROM (SELECT e.type FROM event e WHERE e.project = p ORDER BY e.seq DESC LIMIT 1) AS last
        WHERE last.type = 'log_closed';
    IF FOUND THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = 'the log is closed';
    END IF;
END $$;

-- Lines that were made to follow the head (after_seq, after_chain). If another writer was first, nothing is written, and
-- the head is returned. The commit does not wait for the disk: that would be a wait under the lock. Who needs the disk
-- waits afterwards, by a synced commit of nothing.
CREATE FUNCTION consist_es.append(
    p int, after_seq bigint, after_chain text, ids text[], types text[], scenarios text[], runs text[],
    times timestamptz[], lines text[]
) RETURNS TABLE (done boolean, seq bigint, chain text, at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
DECLARE
    h record;
    n int := array_length(lines, 1);
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO h FROM lock_head(p);
    IF h.seq <> after_seq OR h.chain <> after_chain THEN
        RETURN QUERY SELECT false, h.seq, h.chain, h.at;
        RETURN;
    END IF;
    IF times[1] < h.at OR NOT starts_with(lines[n], '{"seq":' || (after_seq + n) || ',"end":true,"id":"') OR EXISTS (
        SELECT 1 FROM unnest(lines) WITH ORDINALITY AS l(line, i)
        WHERE NOT starts_with(l.line, '{"seq":' || (after_seq + l.i) || ',"end":')
           OR right(l.line, 2) <> '"}' OR left(right(l.line, 55), 10) <> ',"chain":"'
    ) THEN
        RAISE check_violation USING MESSAGE = 'these lines are no batch that follows the head';
    END IF;
    INSERT INTO event (project, seq, id, type, scenario, run, at, line)
        SELECT p, after_seq + u.i, u.id, u.type, u.scenario, u.run, u.at, u.line
        FROM unnest(ids, types, scenarios, runs, times, lines) WITH ORDINALITY AS u(id, type, scenario, run, at, line, i);
    RETURN QUERY SELECT true, after_seq + n, left(right(lines[n], 45), 43), times[n];
END $$;

CREATE FUNCTION consist_es.keep_blob(p int, d text, content bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    PERFORM require(p, 'append');
    INSERT INTO blob VALUES (p, d, content) ON CONFLICT DO NOTHING;
END $$;

-- Payloads out, their digests in: of the same length, so that chain and sizes stay.
CREATE FUNCTION consist_es.redact(p int, positions bigint[], redacted text[], blobs text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    PERFORM require(p, 'redact');
    IF EXISTS (
        SELECT 1 FROM unnest(positions, redacted) AS u(seq, line) JOIN event e ON e.project = p AND e.seq = u.seq
        WHERE octet_length(e.line) <> octet_length(u.line) OR right(e.line, 55) <> right(u.line, 55)
           OR u.line !~ ',"data":\{"\$redacted":"[0-9a-f]{64}"\t*\},"chain":"[^"]{43}"\}$'
           OR left(e.line, strpos(e.line, ',"data":')) <> left(u.line, strpos(u.line, ',"data":'))
    ) THEN
        RAISE check_violation USING MESSAGE = 'these lines are not the same records without their payloads';
    END IF;
    UPDATE event e SET line = u.line FROM unnest(positions, redacted) AS u(seq, line)
        WHERE e.project = p AND e.seq = u.seq;
    DELETE FROM blob WHERE project = p AND digest = ANY (blobs);
END $$;

-- The holder of a claim: the caller, by its token, if it was free or had run out.
CREATE FUNCTION consist_es.take_claim(p int, w text, mine text, me text, process text, seconds float)
RETURNS TABLE (token text, who text, marks text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    PERFORM require(p, 'append');
    RETURN QUERY
    WITH taken AS (
        INSERT INTO claim AS c (project, work, token, who, marks, until)
        VALUES (p, w, mine, me, process, clock_timestamp() + make_interval(secs => seconds))
        ON CONFLICT (project, work) DO UPDATE
            SET token = mine, who = me, marks = process, until = excluded.until
            WHERE c.until < clock_timestamp() OR c.token = mine
        RETURNING c.token, c.who, c.marks
    )
    SELECT t.token, t.who, t.marks FROM taken t
    UNION ALL
    SELECT c.token, c.who, c.marks FROM claim c WHERE c.project = p AND c.work = w AND NOT EXISTS (SELECT 1 FROM taken);
END $$;

CREATE FUNCTION consist_es.end_claim(p int, w text, mine text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
    DELETE FROM claim WHERE project = p AND work = w AND token = mine
$$;

-- The heartbeat of a writer: it and its claims last so many seconds more.
CREATE FUNCTION consist_es.beat(p int, w text, alive float, tokens text[], held float) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    PERFORM require(p, 'append');
    INSERT INTO writer AS o (project, name, until) VALUES (p, w, clock_timestamp() + make_interval(secs => alive))
        ON CONFLICT (project, name) DO UPDATE SET until = excluded.until;
    UPDATE claim SET until = clock_timestamp() + make_interval(secs => held)
        WHERE project = p AND token = ANY (tokens);
END $$;

CREATE FUNCTION consist_es.mask_key(p int, made bytea) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
BEGIN
    PERFORM require(p, 'append');
    INSERT INTO secret VALUES (p, made) ON CONFLICT DO NOTHING;
    RETURN (SELECT key FROM secret WHERE project = p);
END $$;

CREATE FUNCTION consist_es.make_project(pid text, pname text, pgenesis text, pat timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
DECLARE n int;
BEGIN
    INSERT INTO project (id, name, genesis, since) VALUES (pid, pname, pgenesis, pat)
        ON CONFLICT (name) DO NOTHING RETURNING no INTO n;
    IF n IS NOT NULL THEN
        INSERT INTO member VALUES (n, session_user, 'append'), (n, session_user, 'redact') ON CONFLICT DO NOTHING;
    END IF;
END $$;

-- Nobody but the owner changes an event; the functions above are the only way in.
CREATE FUNCTION consist_es.mine() RETURNS int[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = consist_es, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT m.project), '{}') FROM member m WHERE pg_has_role(session_user, m.role, 'MEMBER')
$$;
ALTER TABLE consist_es.project ENABLE ROW LEVEL SECURITY;
ALTER TABLE consist_es.event ENABLE ROW LEVEL SECURITY;
ALTER TABLE consist_es.blob ENABLE ROW LEVEL SECURITY;
ALTER TABLE consist_es.claim ENABLE ROW LEVEL SECURITY;
ALTER TABLE consist_es.writer ENABLE ROW LEVEL SECURITY;
CREATE POLICY members ON consist_es.project FOR SELECT USING (no = ANY ((SELECT consist_es.mine())::int[]));
CREATE POLICY members ON consist_es.event FOR SELECT USING (project = ANY ((SELECT consist_es.mine())::int[]));
CREATE POLICY members ON consist_es.blob FOR SELECT USING (project = ANY ((SELECT consist_es.mine())::int[]));
CREATE POLICY members ON consist_es.claim FOR SELECT USING (project = ANY ((SELECT consist_es.mine())::int[]));
CREATE POLICY members ON consist_es.writer FOR SELECT USING (project = ANY ((SELECT consist_es.mine())::int[]));

DO $$ BEGIN
    CREATE ROLE consist_es_user NOLOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;         -- of another database of the same server
END $$;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA consist_es FROM PUBLIC;
GRANT USAGE ON SCHEMA consist_es TO consist_es_user;
GRANT SELECT ON consist_es.format, consist_es.project, consist_es.event, consist_es.blob, consist_es.claim,
    consist_es.writer TO consist_es_user;
GRANT EXECUTE ON FUNCTION consist_es.may, consist_es.mine, consist_es.head, consist_es.lock_head, consist_es.append,
    consist_es.keep_blob, consist_es.redact, consist_es.take_claim, consist_es.end_claim, consist_es.beat,
    consist_es.mask_key, consist_es.make_project TO consist_es_user;
