-- Changes whenever the appliance is paired or unpaired: what belongs to another pairing is not
-- written any more.
ALTER TABLE appliances ADD COLUMN pairing INTEGER NOT NULL DEFAULT 0;

CREATE TABLE alerts (
    appliance_id     TEXT NOT NULL REFERENCES appliances (id) ON DELETE CASCADE,
    token            TEXT NOT NULL,
    kind             TEXT NOT NULL,
    scheduled_time   TEXT NOT NULL,
    label            TEXT,
    assets           TEXT,
    asset_play_order TEXT,
    phase            TEXT NOT NULL,
    since            INTEGER NOT NULL,
    PRIMARY KEY (appliance_id, token)
);

-- Events that CIC has not answered yet.
CREATE TABLE outbox (
    appliance_id TEXT NOT NULL REFERENCES appliances (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL,
    namespace    TEXT NOT NULL,
    name         TEXT NOT NULL,
    message_id   TEXT NOT NULL,
    payload      TEXT NOT NULL,
    contexts     TEXT NOT NULL,
    PRIMARY KEY (appliance_id, number)
);
