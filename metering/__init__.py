"""The shared core: prices, usage and money-keeping. It knows neither mitmproxy nor HTTP serving.

Imports run one way:

    errors, clock, money  ◄  periods, usage  ◄  pricing  ◄  estimates
    pricing, asks         ◄  tokens, manners, pictures, sounds  ◄  prompts, ceilings  ◄  bounds, recount  ◄  estimates
    errors, clock         ◄  locks, migrations  ◄  schema, origin  ◄  database, liveness, keyfile
    database, periods     ◄  windows, rollups, rows, refused  ◄  batch  ◄  ledger  ◄  expiry, writer
    windows, database     ◄  limiter_fields, limiters
    database, rollups     ◄  reports, verify, retention, backup

The ledger is handed nanodollars and never imports prices: prices and money-keeping are tested apart.
"""
