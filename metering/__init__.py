"""The shared core: prices, usage and money-keeping. It knows neither mitmproxy nor HTTP serving.

Its map. A module imports only what stands before it:

    the ground      clock, disk, errors, facts, lifeline, money
    what is set     base_urls, setting_values, settings
    the words       periods, usage, entries
    the database    locks, migrations, schema, origin, database, keyfile, liveness, backup, retention
    limiters        windows, limiter_fields, limiters
    the ledger      rows, rollups, refused, batch, ledger, expiry, inbox, figures, writer_thread, writer, verify
    what is shown   reports, report_calls, report_windows
    prices          pricing
    what is asked   media, forms, bodies, asks
    what is said    sse, reading
    what it costs   charging, explain
    what it may be  manners, tokens, pictures, sounds, prompts, ceilings, bounds, recount, estimates

The ledger is handed nanodollars and never imports prices: prices and money-keeping are tested apart.
"""
