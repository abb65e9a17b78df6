CREATE TABLE appliances (
    id            TEXT PRIMARY KEY,
    model_id      TEXT NOT NULL,
    lang          TEXT NOT NULL,
    device_id     TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    -- Sealed with store.secret_key; all four together, or none.
    access_token  TEXT,
    refresh_token TEXT,
    issued_at     INTEGER,
    expires_at    INTEGER,
    created_at    INTEGER NOT NULL
);

-- Grows with every change that a running gateway must follow.
CREATE TABLE revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    number   INTEGER NOT NULL
);
INSERT INTO revision (only_row, number) VALUES (1, 0);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
