//! The topic table (contract section 1): which topics exist, and their names. Pure.
