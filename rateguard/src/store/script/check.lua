-- What nearly every request asks: one unit each of one limit or of several together, or none of them. What is not that
-- simple after all is handed over undone: `whole.lua` is to be asked for it.
--
-- KEYS  one for each limit, in order.
-- ARGV  what is asked, as one text, and then the different quotas (see `read_quota`). The text names for each limit its
--       quota by a character, `0` for the first, and so on. Before the limits of a group of several stands `&` and their
--       number, and before one that so many requests ask for, of which as many as fit are to be admitted, stands `+`
--       and theirs; both are written as the character so many places after `0`.
-- Reply the time; then for each group an error as a string, or a -1 if it is handed over, or four integers for each
--       limit: how many units are admitted (a group's are charged if that is 1 for each limit that enforces), and three
--       as `whole.lua` has them.
--
-- All in one piece: a function would cost a check as much as all that Lua does for it.

local byte, sub, fail = string.byte, string.sub, pcall
local KEYS = KEYS
-- Members later than this are later than now.
local LATEST = NOW_TEXT .. LAST
local DIGITS = #LATEST
local STAMP_NOW = struct.pack(STAMP, NOW)
-- So much that has expired is let stand at the head of a packed string.
local STALE = 8 * 8

local quotas, rules, arg = {}, {}, 2
while ARGV[arg] do
  local q, next = read_quota(arg)
  quotas[#quotas + 1], arg = q, next
  local kind = q.kind
  if kind == 'l' then
    rules[kind] = rules[kind] or make_list()
  elseif kind ~= 'z' and kind ~= 'p' then
    rules[kind] = rules[kind] or make_counter_rule(kind)
  end
end

-- For a group of several: what the first step found about each.
local granted_of, x_of, y_of, z_of = {}, {}, {}, {}
local replies, n = { NOW }, 1
local plan, at, key_at = ARGV[1], 1, 0
local what = byte(plan, at)
while what do
  local limits, units = 1, 1
  if what == 38 then
    limits, at = byte(plan, at + 1) - 48, at + 2
  elseif what == 43 then
    units, at = byte(plan, at + 1) - 48, at + 2
  end
  local before = n
  local admitted, again = true, false
  local q, key, kind, granted, x, y, z
  for i = 1, limits do
    q, key = quotas[byte(plan, at + i - 1) - 47], KEYS[key_at + i]
    kind = q.kind
    local limit, window = q.limit, q.window
    local available, idle, retry, used = 0, 0, -1, 0
    if kind == 'z' then
      -- x: the newest member; y: its number; z: the first that counts.
      local newest = try('ZRANGE', key, '-1', '-1')
      x, y, z = newest[1], FIRST - 1, nil
      if x then
        -- A clock that stepped back.
        again = #x ~= DIGITS or x > LATEST
        local oldest = try('ZRANGEBYSCORE', key, q.after, '+inf', 'LIMIT', '0', '1')
        local a, b, c = byte(x, -3, -1)
        y, z = 100 * a + 10 * b + c - 5328, oldest[1]
        local since = z and tonumber(sub(z, 1, -4))
        if since and since > NOW - window then
          a, b, c = byte(z, -3, -1)
          used = (y - 100 * a - 10 * b - c + 5328) % NUMBERS + 1
          idle = since + window - NOW
        elseif z or oldest.err then
          -- No member of ours, or no answer.
          again = true
        end
      elseif newest.err then
        again = true
      end
      if used < limit then
        available = limit - used
        granted = units <= available and units or available
        if y + granted > LAST then
          if y == LAST and sub(x, 1, -4) ~= NOW_TEXT then
            y = FIRST - 1
          else
            again = true
          end
        end
      else
        granted, retry = 0, idle
        if used > limit and not again then
          local leaves = try('ZRANGEBYSCORE', key, q.after, '+inf', 'LIMIT', format('%d', used - limit), '1')[1]
          local leaver = leaves and tonumber(sub(leaves, 1, -4))
          if leaver then retry = leaver + window - NOW else again = true end
        end
      end
    elseif kind == 'p' then
      -- x: the string; y: where what counts begins in it; z: when the newest was admitted.
      x = try('GET', key)
      y, z = #MAGIC + 1, nil
      if x and (x.err or #x < 12 or #x % 8 ~= 4 or sub(x, 1, 4) ~= MAGIC) then
        again = true
      elseif x then
        local length = #x
        z = struct.unpack(STAMP, x, length - 7)
        -- A clock that stepped back.
        again = z > NOW
        local since = NOW - window
        if z <= since then
          y = length + 1
        else
          local first = struct.unpack(STAMP, x, y)
          if first <= since then
            -- The first that counts is after `y` and not after `high`. Most often it is one of the first.
            local high, step = length - 7, 8
            while high - y > 8 do
              local probe = y + step
              if probe >= high then probe = y + floor((high - y) / 16) * 8 end
              first = struct.unpack(STAMP, x, probe)
              if first <= since then y, step = probe, 2 * step else high = probe end
            end
            y = high
            first = struct.unpack(STAMP, x, y)
          end
          used, idle = (length + 1 - y) / 8, first + window - NOW
        end
      end
      if used < limit then
        available = limit - used
        granted = units <= available and units or available
      else
        granted, retry = 0, idle
        if used > limit and not again then
          retry = struct.unpack(STAMP, x, y + 8 * (used - limit)) + window - NOW
        end
      end
    else
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
    if granted == 0 and not q.shadow then admitted = false end
    replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = granted, available, idle, retry
    n = n + 4
    if limits > 1 then granted_of[i], x_of[i], y_of[i], z_of[i] = granted, x, y, z end
  end

  local failure
  if again then
    failure = -1
  else
    for i = 1, limits do
      if limits > 1 then
        q, key = quotas[byte(plan, at + i - 1) - 47], KEYS[key_at + i]
        kind, granted, x, y, z = q.kind, granted_of[i], x_of[i], y_of[i], z_of[i]
      end
      if granted > 0 and (admitted or limits == 1) then
        if kind == 'z' then
          local renew, answer = not x or x < q.stretch, nil
          if x and (renew or floor((y + granted) / q.every) ~= floor(y / q.every)) then
            -- Only if there is something to remove: a write here would let the next one past maxmemory.
            answer = try('ZRANGE', key, '0', '0')
            if answer[1] ~= z then
              answer = try('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
            end
          end
          if type(answer) == 'table' and answer.err then
            failure = answer.err
          else
            if granted == 1 then
              answer = try('ZADD', key, NOW_TEXT, NOW_TEXT .. y + 1)
            else
              local write = {}
              for unit = 1, granted do
                write[2 * unit - 1], write[2 * unit] = NOW_TEXT, NOW_TEXT .. y + unit
              end
              answer = try('ZADD', key, unpack(write))
            end
            if type(answer) == 'table' then
              failure = answer.err
            elseif renew then
              local ok, problem = fail(expire, key, format('%d', q.longest))
              if not ok then failure = problem end
            end
          end
        elseif kind == 'p' then
          local stamps = granted == 1 and STAMP_NOW or STAMP_NOW:rep(granted)
          local answer
          if not z or z < q.stretch_at then
            answer = try('SET', key, MAGIC .. (x and sub(x, y) or '') .. stamps, 'PX', format('%d', q.longest))
          elseif y > STALE then
            answer = try('SET', key, MAGIC .. sub(x, y) .. stamps, 'KEEPTTL')
          else
            answer = try('APPEND', key, stamps)
          end
          if type(answer) == 'table' then failure = answer.err end
        else
          local ok, problem = fail(rules[kind].charge, key, q, granted, x, y, z, true)
          if not ok then failure = problem end
        end
      elseif granted == 0 or z == 'mend' then
        local ok, problem = true, nil
        if kind ~= 'z' and kind ~= 'p' then
          ok, problem = fail(rules[kind].refuse, key, q, x, y, z)
        elseif x then
          ok, problem = fail(mend_ttl, key, q.longest)
        end
        if not ok then failure = problem end
      end
      if failure then break end
    end
  end
  if failure then
    -- In the place of what the first step has said.
    for i = before + 2, n do replies[i] = nil end
    n = before + 1
    replies[n] = type(failure) == 'table' and failure.err or failure
  end
  at, key_at = at + limits, key_at + limits
  what = byte(plan, at)
end
return replies
