// What Upstash's own client for JavaScript is answered by our server of their protocol.

import assert from "node:assert/strict";
import { Redis } from "@upstash/redis";

const [url, token] = process.argv.slice(2);

for (const responseEncoding of ["base64", false]) {
  const redis = new Redis({ url, token, responseEncoding, retry: false });
  assert.equal(await redis.ping(), "PONG");
  assert.equal(await redis.set("text", "größe"), "OK");
  assert.equal(await redis.get("text"), "größe");
  assert.equal(await redis.get("nothing"), null);
  assert.deepEqual(await redis.pipeline().set("number", 1).incr("number").get("number").exec(), ["OK", 2, 2]);
  assert.deepEqual(await redis.multi().set("letter", "x").get("letter").exec(), ["OK", "x"]);
  assert.deepEqual(await redis.eval("return {KEYS[1], ARGV[1], 7}", ["k"], ["v"]), ["k", "v", 7]);
  assert.equal(await redis.evalsha(await redis.scriptLoad("return ARGV[1]"), [], ["a"]), "a");
  await assert.rejects(redis.evalsha("0".repeat(40), [], []), /NOSCRIPT/);
  await assert.rejects(redis.incr("letter"), /not an integer/);
}
await assert.rejects(new Redis({ url, token: "wrong", retry: false }).ping(), /WRONGPASS/);
console.log("@upstash/redis: as expected");
