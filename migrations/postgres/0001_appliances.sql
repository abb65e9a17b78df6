CREATE TABLE appliances (
    id            TEXT PRIMARY KEY,
    model_id      TEXT NOT NULL,
    lang          TEXT NOT NULL,
    device_id     TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    -- Sealed with store.secret_key; all four together, or none.
    access_token  TEXT,
    refresh_token TEXT,
    issued_at     BIGINT,
    expires_at    BIGINT,
    created_at    BIGINT NOT NULL
);

-- Grows with every change that a running gateway must follow.
CREATE TABLE revision (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    number   BIGINT NOT NULL
);
INSERT INTO revision (only_row, number) VALUES (1, 0);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
