"""What Upstash's own client for Python is answered by our server of their protocol."""

import sys

from upstash_redis import Redis

url, token = sys.argv[1:]


def refused(call, part):
    try:
        answer = call()
    except Exception as error:
        assert part in str(error), error
    else:
        raise AssertionError(f"answered {answer!r} instead of refusing with {part!r}")


for encoding in ("base64", None):
    redis = Redis(url=url, token=token, rest_encoding=encoding)
    assert redis.ping() == "PONG"
    assert redis.set("text", "größe") and redis.get("text") == "größe"
    assert redis.get("nothing") is None

    pipeline = redis.pipeline()
    pipeline.set("number", "1")
    pipeline.incr("number")
    pipeline.get("number")
    assert pipeline.exec() == [True, 2, "2"]

    transaction = redis.multi()
    transaction.set("letter", "x")
    transaction.get("letter")
    assert transaction.exec() == [True, "x"]

    assert redis.eval("return {KEYS[1], ARGV[1], 7}", keys=["k"], args=["v"]) == ["k", "v", 7]
    assert redis.evalsha(redis.script_load("return ARGV[1]"), args=["a"]) == "a"
    refused(lambda: redis.evalsha("0" * 40), "NOSCRIPT")
    refused(lambda: redis.execute(["INCR", "letter"]), "not an integer")

refused(lambda: Redis(url=url, token="wrong").ping(), "WRONGPASS")
print("upstash-redis: as expected")
