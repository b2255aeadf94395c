#!/usr/bin/env python3
"""Writes an access log of one day, to try `replay` on: the same log for the same arguments.

    examples/replay/make_log.py [lines] [combined|json] > access.log

Most clients are people, who come and go with the time of day. A few are not: a crawler that never sleeps, a broken client that
retries for ten minutes, a scraper that uses a whole IPv6 network, and a guesser of passwords at night.
"""

import json
import math
import random
import sys
import time

LINES = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
FORMAT = sys.argv[2] if len(sys.argv) > 2 else "combined"
BEGIN = 1_795_564_800  # 2026-11-25 00:00:00 UTC
PATHS = ["/", "/search?q=axum", "/api/items", "/api/items/7", "/login", "/static/app.js"]
PEOPLE = [f"{random.Random(n).randrange(11, 200)}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}" for n in range(20_000)]

dice = random.Random(23)


def by_day(second):
    """How busy a second of the day is, from 0.1 to 1."""
    return 0.55 - 0.45 * math.cos(2 * math.pi * (second / 86_400 - 0.08))


def people(count):
    while count > 0:
        second = dice.random() * 86_400
        if dice.random() < by_day(second):
            # A visit: some requests, seconds apart.
            client = dice.choice(PEOPLE)
            for _ in range(min(count, dice.randrange(1, 30))):
                yield second % 86_400, client, "GET", dice.choice(PATHS), 200
                second += dice.random() * 8
                count -= 1


def steady(count, client, method, path, status, begin=0, end=86_400):
    for n in range(count):
        address = client(n) if callable(client) else client
        yield begin + (end - begin) * (n + dice.random()) / count, address, method, path, status


crawler = LINES * 15 // 100
broken = LINES * 4 // 100
scraper = LINES * 5 // 100
guesser = LINES // 100
hits = [
    *people(LINES - crawler - broken - scraper - guesser),
    *steady(crawler, "198.51.100.23", "GET", "/api/items", 200),
    *steady(broken, "203.0.113.7", "POST", "/api/items", 500, 36_000, 36_600),
    *steady(scraper, lambda n: f"2001:db8:5:6::{n % 65_521:x}", "GET", "/search?q=a", 200, 64_800, 72_000),
    *steady(guesser, "192.0.2.66", "POST", "/login", 401, 7200, 10_800),
]
# A line is written when its request ends, with the time when it began.
hits.sort(key=lambda hit: hit[0] + dice.expovariate(5))

for second, client, method, path, status in hits:
    begun = BEGIN + second
    if FORMAT == "json":
        line = {"ts": round(begun, 3), "request": {"client_ip": client, "method": method, "uri": path}, "status": status}
        print(json.dumps(line))
    else:
        clock = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(begun))
        print(f'{client} - - [{clock}] "{method} {path} HTTP/1.1" {status} {dice.randrange(200, 9000)} "-" "Mozilla/5.0 (X11)"')
