-- Counters -----------------------------------------------------------------------------------------------------------
-- A few numbers in a string, written as decimals after the rule's letter. Quotas with windows of different length, or
-- buckets of different rates, have numbers each, and every charge is counted by all of them: what one forgets sooner,
-- another does not. All are kept until all have ended. Nearly always there is one.

-- So many are kept at most. One more takes the place of the one that ends first.
local MOST_COUNTS = 4
-- No text of ours is as long. What others have planted is not read number by number.
local LONGEST_TEXT = 512

local function make_counter_rule(kind)
  local letter, max, min = string.byte(kind), math.max, math.min
  -- Beside the count of the quota that was assessed: the others under the key, if there are any.
  local beside = {}

  -- All numbers of a text: those before the counts, and each count as a table of `size` of them.
  local function parse(key, text, before, size)
    if #text > LONGEST_TEXT or string.byte(text) ~= letter or text:find('[^%d ]', 2) then foreign(key) end
    local all, counts = {}, {}
    for number in text:gmatch('%d+') do all[#all + 1] = tonumber(number) end
    if #all <= before or (#all - before) % size ~= 0 then foreign(key) end
    for i = before + 1, #all, size do counts[#counts + 1] = { unpack(all, i, i + size - 1) } end
    return counts, all[1]
  end

  -- Writes counts for as long as one of them needs, or nothing if there are none. `ends` says until when a count does.
  local function write(key, text, counts, ends)
    if #counts == 0 then
      call('DEL', key)
      return
    end
    while #counts > MOST_COUNTS do
      -- The first is the one that was asked for.
      local soonest = 2
      for i = 3, #counts do
        if ends(counts[i]) < ends(counts[soonest]) then soonest = i end
      end
      table.remove(counts, soonest)
    end
    local last = 0
    for i, count in ipairs(counts) do
      last = max(last, ends(count))
      for j, number in ipairs(count) do
        text = text .. ((i > 1 or j > 1 or #text > 1) and ' ' or '') .. format('%d', number)
      end
    end
    if last <= NOW and kind ~= 'b' then
      -- None of them counts any more.
      call('DEL', key)
    else
      -- A bucket goes on counting what is charged: receipts of this moment stay apart.
      call('SET', key, text, 'PX', floor(max(0, last - NOW) / 1000) + 1000)
    end
  end

  local function with(own, others)
    local counts = { own }
    for i, count in ipairs(others or {}) do counts[i + 1] = count end
    return counts
  end

  -- Window, beginning, units.
  local function make_fixed_window()
    local rule = {}

    local function ends(count) return count[3] > 0 and count[2] + count[1] or 0 end

    local function live(key, text)
      local counts, any = parse(key, text, 0, 3), false
      for _, count in ipairs(counts) do
        -- A clock that stepped back: the window begins anew, with what it holds.
        count[2] = min(count[2], NOW)
        if NOW >= ends(count) then count[2], count[3] = NOW, 0 else any = true end
      end
      return any and counts or {}
    end

    -- The count of a window among several; if there is none, what is known from the others of the time since it began.
    local function among(key, q, text)
      local others, own, most = {}, nil, nil
      for _, count in ipairs(live(key, text)) do
        if count[1] == q.window then own = count else others[#others + 1] = count end
        if NOW - count[2] < q.window and (not most or count[3] > most[3]) then most = count end
      end
      beside[key] = others
      if own then return own[2], own[3], 'held' end
      if most and most[3] > 0 then return most[2], most[3], 'new' end
      return NOW, 0, 'held'
    end

    function rule.assess(key, q, cost)
      local text, start, used, held = call('GET', key), NOW, 0, nil
      beside[key] = nil
      if text then
        local window, a, b = text:match('^f(%d+) (%d+) (%d+)$')
        if window == q.window_text then
          start, used, held = tonumber(a), tonumber(b), 'held'
          if start > NOW then start, held = NOW, 'mend' end
          if NOW - start >= q.window then start, used = NOW, 0 end
        else
          start, used, held = among(key, q, text)
        end
      end
      return cost == 0 or used + cost <= q.limit, used, NOW - start, 0, start, used, held
    end

    local function store(key, q, start, used)
      local own = { q.window, start, used }
      write(key, 'f', with(own, beside[key]), ends)
    end

    function rule.charge(key, q, cost, start, used)
      local others = beside[key]
      if not others then
        local text = 'f' .. q.window_text .. ' ' .. format('%d %d', start, used + cost)
        call('SET', key, text, 'PX', floor((start + q.window - NOW) / 1000) + 1000)
        return
      end
      for _, count in ipairs(others) do count[3] = count[3] + cost end
      store(key, q, start, used + cost)
    end

    -- How many of so many single units fit, and what to charge them with.
    function rule.most(q, units, _, _, _, start, used)
      return min(units, q.limit - used), start, used
    end

    function rule.refuse(key, q, start, used, held)
      if held == 'mend' or held == 'new' then
        if used > 0 then store(key, q, start, used) end
      elseif held and not beside[key] then
        mend_ttl(key, floor(q.window / 1000) + 1000)
      end
    end

    -- Gives back what was charged at that time, to the windows that had begun then.
    function rule.refund(key, _, cost, at)
      local text = call('GET', key)
      if not text then return end
      local counts = {}
      for _, count in ipairs(live(key, text)) do
        if at < 0 or (at >= count[2] and at <= NOW) then count[3] = max(0, count[3] - cost) end
        counts[#counts + 1] = count
      end
      write(key, 'f', counts, ends)
    end

    return rule
  end

  -- Window, beginning, units of the window before, units of this one.
  local function make_sliding_counter()
    local rule = {}

    -- Whether a * b > c * d, for products that a double cannot hold: compared seven bits of `a` and `d` at a time.
    -- `a` and `d` are below 2^53 (a long window counts also what a short one allows), `b` and `c` below 2^45.
    local function product_above(a, b, c, d)
      if a * b < 2 ^ 53 and c * d < 2 ^ 53 then return a * b > c * d end
      local ahead = 0
      for shift = 49, 0, -7 do
        local unit = 2 ^ shift
        ahead = ahead * 128 + floor(a / unit) % 128 * b - floor(d / unit) % 128 * c
        -- What is still to come is less than 2^45 units of this place: beyond that, the matter is settled.
        if ahead >= 2 ^ 45 then return true end
        if ahead <= -2 ^ 45 then return false end
      end
      return ahead > 0
    end

    local function fits(q, cost, previous, current, elapsed)
      local room = q.limit - current - cost
      return cost == 0 or (room >= 0 and not product_above(previous, q.window - elapsed, q.window, room))
    end

    local function ends(count)
      if count[4] > 0 then return count[2] + 2 * count[1] end
      return count[3] > 0 and count[2] + count[1] or 0
    end

    -- As it counts now, in windows of that length.
    local function at_now(window, start, previous, current)
      -- A clock that stepped back: the window begins anew, with what it holds.
      if start > NOW then start = NOW end
      if NOW - start >= 2 * window or (previous == 0 and current == 0) then return NOW, 0, 0 end
      if NOW - start < window then return start, previous, current end
      if current == 0 then return NOW, 0, 0 end
      return start + window, current, 0
    end

    local function live(key, text)
      local counts, any = parse(key, text, 0, 4), false
      for _, count in ipairs(counts) do
        count[2], count[3], count[4] = at_now(count[1], count[2], count[3], count[4])
        any = any or count[3] + count[4] > 0
      end
      return any and counts or {}
    end

    -- The count of a window among several; if there is none, the one that counts most in windows of that length.
    local function among(key, q, text)
      local others, own, best, most = {}, nil, nil, 0
      for _, count in ipairs(live(key, text)) do
        if count[1] == q.window then own = count else others[#others + 1] = count end
        local start, previous, current = at_now(q.window, count[2], count[3], count[4])
        local counted = previous * (q.window - (NOW - start)) / q.window + current
        if counted > most then best, most = { q.window, start, previous, current }, counted end
      end
      beside[key] = others
      if own then return own[2], own[3], own[4], 'held' end
      if best then return best[2], best[3], best[4], 'new' end
      return NOW, 0, 0, 'held'
    end

    function rule.assess(key, q, cost)
      local text, start, previous, current, held = call('GET', key), NOW, 0, 0, nil
      beside[key] = nil
      if text then
        local window, a, b, c = text:match('^c(%d+) (%d+) (%d+) (%d+)$')
        if window == q.window_text then
          start = tonumber(a)
          held = start > NOW and 'mend' or 'held'
          start, previous, current = at_now(q.window, start, tonumber(b), tonumber(c))
        else
          start, previous, current, held = among(key, q, text)
        end
      end
      local admits = fits(q, cost, previous, current, NOW - start)
      return admits, previous, current, NOW - start, start, { previous, current }, held
    end

    function rule.most(q, units, previous, current, elapsed, start, numbers)
      while units > 0 and not fits(q, units, previous, current, elapsed) do
        units = units - 1
      end
      return units, start, numbers
    end

    local function store(key, q, start, previous, current)
      write(key, 'c', with({ q.window, start, previous, current }, beside[key]), ends)
    end

    function rule.charge(key, q, cost, start, units)
      local others = beside[key]
      if not others then
        local text = 'c' .. q.window_text .. ' ' .. format('%d %d %d', start, units[1], units[2] + cost)
        call('SET', key, text, 'PX', floor((start + 2 * q.window - NOW) / 1000) + 1000)
        return
      end
      for _, count in ipairs(others) do count[4] = count[4] + cost end
      store(key, q, start, units[1], units[2] + cost)
    end

    function rule.refuse(key, q, start, units, held)
      if held == 'mend' or held == 'new' then
        if units[1] + units[2] > 0 then store(key, q, start, units[1], units[2]) end
      elseif held and not beside[key] then
        mend_ttl(key, q.longest)
      end
    end

    -- Gives back what was charged at that time, to the window that it was charged to; without a time, to the earlier
    -- one first.
    function rule.refund(key, _, cost, at)
      local text = call('GET', key)
      if not text then return end
      local counts = {}
      for _, count in ipairs(live(key, text)) do
        local start, previous, current = count[2], count[3], count[4]
        if at < 0 then
          count[3] = max(0, previous - cost)
          count[4] = max(0, current - max(0, cost - previous))
        elseif at <= NOW and at >= start then
          count[4] = max(0, current - cost)
        elseif at <= NOW and at >= start - count[1] then
          count[3] = max(0, previous - cost)
        end
        counts[#counts + 1] = count
      end
      write(key, 'c', counts, ends)
    end

    return rule
  end

  -- How many tokens were charged, less those of charges given back with none after them; then for each rate: limit,
  -- window, the time of all tokens, and when the bucket is full again: microseconds, and a fraction of one in units of one
  -- by the limit. A `time` is a pair of them.
  local function make_token_bucket()
    local rule = {}
    -- And, of a bucket that is to be written also if it denies, what it misses.
    local charged_of, missed_of = {}, {}

    -- (a * b + c) / d and what is left, for products that a double cannot hold: three bits of `b` at a time.
    -- `a` and `d` are below 2^49, `b` and `c` below 2^45.
    local function divide(a, b, c, d)
      local quotient, rest = 0, 0
      for shift = 42, 0, -3 do
        rest = rest * 8 + a * (floor(b / 2 ^ shift) % 8)
        quotient, rest = quotient * 8 + floor(rest / d), rest % d
      end
      rest = rest + c
      return quotient + floor(rest / d), rest % d
    end

    local function less(a, a_fraction, b, b_fraction)
      return a < b or (a == b and a_fraction < b_fraction)
    end

    local function ends(count) return count[5] + (count[6] > 0 and 1 or 0) end

    -- A bucket that is more than empty, since a clock stepped back, a quota was lowered or a larger bucket was charged, is
    -- empty.
    local function let_go(count)
      if less(NOW + count[3], count[4], count[5], count[6]) then count[5], count[6] = NOW + count[3], count[4] end
    end

    local function live(key, text)
      local counts, charged = parse(key, text, 1, 6)
      local any = false
      for _, count in ipairs(counts) do
        let_go(count)
        any = any or less(NOW, 0, count[5], count[6])
      end
      return any and counts or {}, charged
    end

    -- What a bucket of this quota misses, of which one of another rate misses so many tokens. A part of one is rounded up.
    local function convert(q, count)
      local limit, window = count[1], count[2]
      local tokens, part = divide(count[5] - NOW, limit, count[6], window)
      part = divide(part, q.window, window - 1, window)
      return divide(q.window, tokens, part, q.limit)
    end

    -- The bucket of a rate among several; if there is none, one that misses what is missed most.
    local function among(key, q, text)
      local others, held, debt, fraction = {}, 'held', 0, 0
      local counts, charged = live(key, text)
      charged_of[key], beside[key] = charged, others
      for _, count in ipairs(counts) do
        if count[1] == q.limit and count[2] == q.window then
          held = 'own'
          if less(NOW, 0, count[5], count[6]) then debt, fraction = count[5] - NOW, count[6] end
        else
          others[#others + 1] = count
        end
      end
      if held == 'own' then return debt, fraction, 'held' end
      for _, count in ipairs(others) do
        if less(NOW, 0, count[5], count[6]) then
          local some, part = convert(q, count)
          if less(debt, fraction, some, part) then debt, fraction, held = some, part, 'new' end
        end
      end
      return debt, fraction, held
    end

    -- Whether a bucket that misses so much has that time left, and what it misses then.
    local function fits(q, cost, cost_fraction, debt, fraction)
      local whole = floor((fraction + cost_fraction) / q.limit)
      local needed, needed_fraction = debt + cost + whole, fraction + cost_fraction - whole * q.limit
      local capacity = q.capacity
      return not less(capacity[1], capacity[2], needed, needed_fraction), needed, needed_fraction
    end

    function rule.assess(key, q, _, cost_time)
      local capacity = q.capacity
      local text, debt, fraction, held = call('GET', key), 0, 0, nil
      -- Tokens of an earlier life are not taken for those of this one.
      charged_of[key], beside[key] = NOW % 2 ^ 20 * 2 ^ 32, nil
      if text then
        local charged, limit, window, a, b = text:match('^b(%d+) (%d+) (%d+) %d+ %d+ (%d+) (%d+)$')
        if window == q.window_text and tonumber(limit) == q.limit then
          debt, fraction, held = tonumber(a) - NOW, tonumber(b), 'held'
          charged_of[key] = tonumber(charged)
          if debt < 0 then debt, fraction = 0, 0 end
        else
          debt, fraction, held = among(key, q, text)
        end
      end
      if less(capacity[1], capacity[2], debt, fraction) then
        debt, fraction = capacity[1], capacity[2]
        if held ~= 'new' then held = 'mend' end
      end
      if held ~= 'held' then missed_of[key] = { debt, fraction } end
      local admits, needed, needed_fraction = fits(q, cost_time[1], cost_time[2], debt, fraction)
      return admits, debt, fraction, charged_of[key], needed, needed_fraction, held
    end

    function rule.most(q, units, debt, fraction)
      for n = units, 1, -1 do
        local admits, needed, needed_fraction = fits(q, n * q.one[1], n * q.one[2], debt, fraction)
        if admits then return n, needed, needed_fraction end
      end
      return 0
    end

    local function store(key, q, charged, debt, fraction)
      local others = beside[key]
      if others then
        local own = { q.limit, q.window, q.capacity[1], q.capacity[2], NOW + debt, fraction }
        write(key, 'b' .. format('%d', charged), with(own, others), ends)
      else
        local text = format('b%d %d %d %d %d %d %d', charged, q.limit, q.window, q.capacity[1], q.capacity[2], NOW + debt,
          fraction)
        call('SET', key, text, 'PX', floor(debt / 1000) + 1000)
      end
    end

    function rule.charge(key, q, cost, needed, needed_fraction)
      for _, count in ipairs(beside[key] or {}) do
        local from, part = count[5], count[6]
        if less(from, part, NOW, 0) then from, part = NOW, 0 end
        local debt, fraction = divide(count[2], cost, part, count[1])
        count[5], count[6] = from + debt, fraction
        let_go(count)
      end
      store(key, q, charged_of[key] + cost, needed, needed_fraction)
    end

    function rule.refuse(key, q, _, _, held)
      if held == 'mend' or held == 'new' then
        store(key, q, charged_of[key], missed_of[key][1], missed_of[key][2])
      elseif held and not beside[key] then
        mend_ttl(key, floor(q.capacity[1] / 1000) + 1000)
      end
    end

    -- Gives back the charge with which so many had been charged; without that, what comes back next. Tokens come back in
    -- the order in which they were charged; what has come back by itself cannot be given back again.
    function rule.refund(key, _, cost, at)
      local text = call('GET', key)
      if not text then return end
      local counts, charged = live(key, text)
      local after = at < 0 and 0 or charged - at
      if #counts == 0 or after < 0 or after >= 2 ^ 45 then return end
      local kept = {}
      for _, count in ipairs(counts) do
        local limit, window = count[1], count[2]
        local debt, fraction = count[5] - NOW, count[6]
        local back, back_fraction = divide(window, cost, 0, limit)
        local left, left_fraction = debt - back, fraction - back_fraction
        if left_fraction < 0 then left, left_fraction = left - 1, left_fraction + limit end
        local least, least_fraction = divide(window, after, 0, limit)
        if less(left, left_fraction, least, least_fraction) then left, left_fraction = least, least_fraction end
        if less(left, left_fraction, debt, fraction) then debt, fraction = left, left_fraction end
        count[5], count[6] = NOW + debt, fraction
        kept[#kept + 1] = count
      end
      if at == charged then charged = max(0, charged - cost) end
      write(key, 'b' .. format('%d', charged), kept, ends)
    end

    return rule
  end

  if kind == 'f' then return make_fixed_window() end
  if kind == 'c' then return make_sliding_counter() end
  return make_token_bucket()
end
