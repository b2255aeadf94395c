-- Decides what nearly every request asks: one unit of one limit, or of several limits together, all or none. A group that
-- turns out to be less simple is handed over, undecided: the caller then sends it to `whole.lua`. So is a group with a key that
-- another node of the cluster has, or that is moving there: the server rejects the very first command for such a key, and a
-- group reads all its keys before it writes any.
--
-- KEYS   one key for each limit, in order. None if the keys are of several slots of a node of a cluster: then they are in ARGV,
--        after the plan and their number.
-- ARGV   the plan as one text, then the different quotas (see `read_quota`). The plan has a character for each limit, which
--        names its quota: `0` for the first, and so on. A group of several limits begins with `&` and their number. A limit that
--        several requests ask for begins with `+` and their number: as many of them as fit are allowed. These numbers are
--        characters as well: `0` for 0, and so on. A plan that begins with `!` asks for a packed reply.
-- Reply  the time. Then for each group: an error as a string; or -1 if the group is handed over; or four integers for each
--        limit: how many units are allowed (a group is charged if this is 1 for each limit that is not in shadow mode), and
--        three as in the reply of `whole.lua`. Packed, it is one string of integers of eight bytes each, the highest byte
--        first, which a client reads much faster than a list; unless there is an error, or there are very many limits.
--
-- There are no functions here: calling one would cost about as much as everything else that Lua does for a check.

local byte, sub, fail, pack, read = string.byte, string.sub, pcall, struct.pack, struct.unpack
local KEYS, key_at, arg = KEYS, 0, 2
if not KEYS[1] then KEYS, key_at, arg = ARGV, 2, 3 + ARGV[2] end
-- Larger members are later than now.
local LATEST = NOW_TEXT .. LAST
local DIGITS = #LATEST
local STAMP_NOW = pack(STAMP, NOW)
-- A log keeps up to this many expired bytes, so that most charges only append. In an exact log, 72 cost 8 % more instructions of
-- Redis per check than 14, since more entries are read to find the first that counts; none cost 11 % more. A merged log is long,
-- so it is written anew less often.
local STALE_EXACT, STALE_MERGED = 14, 72

local quotas, rules = {}, {}
while ARGV[arg] do
  local q, next = read_quota(arg)
  quotas[#quotas + 1], arg = q, next
  local kind = q.kind
  if kind ~= 'z' and kind ~= 'l' then rules[kind] = rules[kind] or make_counter_rule(kind) end
end

-- For a group of several limits: what the first step found out about each.
local granted_of, kind_of, x_of, y_of, z_of
-- With room for the numbers of one limit.
local replies, n = { NOW, nil, nil, nil, nil }, 1
local plan, at = ARGV[1], 1
local what, packed = byte(plan, at), false
if what == 33 then
  what, at, packed = byte(plan, 2), 2, true
end
while what do
  local limits, units = 1, 1
  if what == 38 then
    limits, at = byte(plan, at + 1) - 48, at + 2
    granted_of, kind_of, x_of, y_of, z_of = {}, {}, {}, {}, {}
  elseif what == 43 then
    units, at = byte(plan, at + 1) - 48, at + 2
  end
  local before = n
  local allowed, again = true, false
  local q, key, kind, granted, x, y, z
  for i = 1, limits do
    q, key = quotas[byte(plan, at + i - 1) - 47], KEYS[key_at + i]
    kind = q.kind
    local limit, window = q.limit, q.window
    local available, idle, retry, used = 0, 0, -1, 0
    if kind == 'z' then
      -- x: the newest member; y: its number; z: the oldest member that counts.
      local newest = try('ZRANGE', key, '-2', '-1')
      x, y, z = newest[1], FIRST - 1, nil
      if x and (#x ~= DIGITS or x > LATEST or newest[2] ~= q.window_text) then
        -- Not a member of ours, or a clock that stepped back, or another window.
        again = true
      elseif x then
        local oldest = try('ZRANGEBYSCORE', key, q.after, '(inf', 'LIMIT', '0', '1')
        local a, b, c = byte(x, -3, -1)
        y, z = 100 * a + 10 * b + c - 5328, oldest[1]
        local since = z and tonumber(sub(z, 1, -4))
        if since and since > NOW - window then
          a, b, c = byte(z, -3, -1)
          used = (y - 100 * a - 10 * b - c + 5328) % NUMBERS + 1
          idle = since + window - NOW
        elseif z or oldest.err then
          -- Not a member of ours, or an error.
          again = true
        end
      elseif newest.err then
        -- The key holds a log.
        kind = 'l'
      end
      if kind == 'z' and used < limit then
        available = limit - used
        granted = units <= available and units or available
        if y + granted > LAST then
          if y == LAST and sub(x, 1, -4) ~= NOW_TEXT then
            y = FIRST - 1
          else
            again = true
          end
        end
      elseif kind == 'z' then
        granted, retry = 0, idle
        if used > limit and not again then
          local leaves = try('ZRANGEBYSCORE', key, q.after, '(inf', 'LIMIT', format('%d', used - limit), '1')[1]
          local leaver = leaves and tonumber(sub(leaves, 1, -4))
          if leaver then retry = leaver + window - NOW else again = true end
        end
      end
    end
    if kind == 'l' then
      -- x: the string; y: the place of the first entry that counts; z: the time of the newest unit, if any counts.
      x = try('GET', key)
      y, z = HEAD + 1, nil
      if not q.exact then
        local horizon = pack(HORIZON, window, 0, 0)
        q.exact, q.merged = EXACT .. horizon, MERGED .. horizon
      end
      if x then
        local head = x.err or sub(x, 1, 23)
        local merged = head == q.merged
        if not merged and head ~= q.exact then
          -- Not a log of ours, or one that was charged under other windows.
          again = true
          break
        end
        local length, size, since, first, later = #x, merged and ENTRY_SIZE or STAMP_SIZE, NOW - window, nil, 0
        if length <= HEAD or (length - HEAD) % size ~= 0 then
          again = true
          break
        end
        local newest = length + 1 - size
        if merged then first, later = read(ENTRY, x, newest) else first = read(STAMP, x, newest) end
        z = first + later
        local joins = merged and (NOW - first) * PARTS < window
        if z > NOW or (not merged and limit > MOST_EXACT) then
          -- A clock that stepped back, or an exact log that has to be merged.
          again = true
        elseif z <= since then
          -- No entry counts any more.
          y, z = length + 1, nil
        else
          if merged then first, later = read(ENTRY, x, y) else first = read(STAMP, x, y) end
          if first + later <= since then
            -- The first entry that counts comes after `y`, at `high` at the latest. Most often it is one of the first, so the
            -- steps begin small and double.
            local high, step = newest, size
            while high - y > size do
              local probe = y + step
              if probe >= high then probe = y + floor((high - y) / (2 * size)) * size end
              if merged then first, later = read(ENTRY, x, probe) else first = read(STAMP, x, probe) end
              if first + later <= since then y, step = probe, 2 * step else high = probe end
            end
            y = high
            if merged then first, later = read(ENTRY, x, y) else first = read(STAMP, x, y) end
          end
          idle = first + later + window - NOW
          if not merged then
            used = (length + 1 - y) / size
            if used > limit then retry = read(STAMP, x, y + STAMP_SIZE * (used - limit)) + window - NOW end
          else
            -- A total comes before each entry, also before the first.
            local gone = read(TOTAL, x, y - 6)
            used = (read(TOTAL, x, length - 5) - gone) % TOTALS
            if used > limit then
              -- Finds the entry whose leaving makes room.
              local low, high = y - size, newest
              while high - low > size do
                local probe = low + floor((high - low) / (2 * size)) * size
                if (read(TOTAL, x, probe + 12) - gone) % TOTALS > used - limit then high = probe else low = probe end
              end
              first, later = read(ENTRY, x, high)
              retry = first + later + window - NOW
            elseif y == newest and joins then
              -- The oldest entry takes the charge, and then leaves later.
              idle = -idle
            end
          end
        end
      end
      if used < limit then
        available = limit - used
        granted = units <= available and units or available
      else
        granted = 0
        if used == limit then retry = idle < 0 and -idle or idle end
      end
    elseif kind ~= 'z' then
      local rule, ok = rules[kind], nil
      ok, granted, available, idle, retry, x, y, z = fail(rule.assess, key, q, 1, q.one)
      if not ok then
        again = true
      elseif granted and units > 1 then
        granted, x, y = rule.most(q, units, available, idle, retry, x, y)
      else
        granted = granted and 1 or 0
      end
    end
    if again then break end
    if granted == 0 and not q.shadow then allowed = false end
    replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = granted, available, idle, retry
    n = n + 4
    if limits > 1 then granted_of[i], kind_of[i], x_of[i], y_of[i], z_of[i] = granted, kind, x, y, z end
  end

  local failure
  if again then
    failure = -1
  else
    for i = 1, limits do
      if limits > 1 then
        q, key = quotas[byte(plan, at + i - 1) - 47], KEYS[key_at + i]
        granted, kind, x, y, z = granted_of[i], kind_of[i], x_of[i], y_of[i], z_of[i]
      end
      if granted > 0 and (allowed or limits == 1) then
        if kind == 'z' then
          local renew, answer = not x or x < q.stretch, nil
          if x and (renew or floor((y + granted) / q.every) ~= floor(y / q.every)) then
            -- Only if there is something to remove: after this write, Redis would accept the ZADD even above maxmemory.
            answer = try('ZRANGE', key, '0', '0')
            if answer[1] ~= z then
              answer = try('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
            end
          end
          if type(answer) == 'table' and answer.err then
            failure = answer.err
          else
            if granted > 1 then
              local write = x and {} or { 'inf', q.window_text }
              for unit = 1, granted do
                local n = #write
                write[n + 1], write[n + 2] = NOW_TEXT, NOW_TEXT .. y + unit
              end
              answer = try('ZADD', key, unpack(write))
            elseif x then
              answer = try('ZADD', key, NOW_TEXT, NOW_TEXT .. y + 1)
            else
              answer = try('ZADD', key, 'inf', q.window_text, NOW_TEXT, NOW_TEXT .. FIRST)
            end
            if type(answer) == 'table' then
              failure = answer.err
            elseif renew then
              local ok, problem = fail(expire, key, format('%d', q.longest))
              if not ok then failure = problem end
            end
          end
        elseif kind == 'l' then
          local merged, from, answer = q.limit > MOST_EXACT, NOW, nil
          if z then merged = byte(x, 4) == 109 end
          local tail, kept = nil, x and #x
          if not merged then
            tail = granted == 1 and STAMP_NOW or STAMP_NOW:rep(granted)
          else
            local sum = granted
            if z then
              local first, _, so_far = read(ENTRY, x, kept - 17)
              sum = (so_far + granted) % TOTALS
              if (NOW - first) * PARTS < q.window then from, kept = first, kept - 18 end
            end
            tail = pack(ENTRY, from, NOW - from, sum)
          end
          if not z then
            answer = try('SET', key, (merged and q.merged or q.exact) .. pack(TOTAL, 0) .. tail, 'PX', format('%d', q.longest))
          elseif z < q.stretch_at then
            answer = try('SET', key, sub(x, 1, 23) .. sub(x, y - 6, kept) .. tail, 'PX', format('%d', q.longest))
          elseif y > HEAD + (merged and STALE_MERGED or STALE_EXACT) then
            answer = try('SET', key, sub(x, 1, 23) .. sub(x, y - 6, kept) .. tail, 'KEEPTTL')
          elseif kept == #x then
            answer = try('APPEND', key, tail)
          else
            answer = try('SETRANGE', key, kept, tail)
          end
          -- A status reply is a table as well.
          if type(answer) == 'table' and answer.err then failure = answer.err end
        else
          local ok, problem = fail(rules[kind].charge, key, q, granted, x, y, z, true)
          if not ok then failure = problem end
        end
      elseif granted == 0 or z == 'mend' then
        local ok, problem = true, nil
        if kind ~= 'z' and kind ~= 'l' then
          ok, problem = fail(rules[kind].deny, key, q, x, y, z)
        elseif x then
          ok, problem = fail(mend_ttl, key, q.longest)
        end
        if not ok then failure = problem end
      end
      if failure then break end
    end
  end
  if failure then
    -- Replaces what the first step has put into the reply.
    for i = before + 2, n do replies[i] = nil end
    n = before + 1
    replies[n] = type(failure) == 'table' and failure.err or failure
    if failure ~= -1 then packed = false end
  end
  at, key_at = at + limits, key_at + limits
  what = byte(plan, at)
end
-- Lua has no room for many more arguments.
if packed and n <= 1000 then return pack('>' .. ('i8'):rep(n), unpack(replies)) end
return replies
