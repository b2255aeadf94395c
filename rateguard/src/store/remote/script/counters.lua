-- The body of `make_counter_rule(kind)`, together with the file of the kind: what fixed windows, sliding counters and token
-- buckets have in common.
--
-- A count is a few numbers. They are stored as decimals in a string, after the letter of the kind. Quotas with different
-- windows, or token buckets with different rates or bursts, each have a count of their own under the key, and each charge is
-- added to all of them, because one forgets it later than another. All counts are kept until all have ended. Nearly always
-- there is one.

-- The most counts under a key. A further one replaces the one that ends first.
local MOST_COUNTS = 4
-- Longer than any text of ours. A longer text, written by somebody else, is not read number by number.
local LONGEST_TEXT = 512

local letter, max, min = string.byte(kind), math.max, math.min
-- For each key that was assessed: the counts besides that of the quota. `nil` if there are none.
local beside = {}

-- Reads a text: the counts, each as a table of `size` numbers, and the first number. `before` numbers come before the
-- counts.
local function parse(key, text, before, size)
  if #text > LONGEST_TEXT or string.byte(text) ~= letter or text:find('[^%d ]', 2) then foreign(key) end
  local all, counts = {}, {}
  for number in text:gmatch('%d+') do all[#all + 1] = tonumber(number) end
  if #all <= before or (#all - before) % size ~= 0 then foreign(key) end
  for i = before + 1, #all, size do counts[#counts + 1] = { unpack(all, i, i + size - 1) } end
  return counts, all[1]
end

-- Whether count `a` is dropped before count `b`. Counts of one key differ in their first four numbers.
local function drops_before(a, b, ends)
  local x, y, i = max(NOW, ends(a)), max(NOW, ends(b)), 0
  while x == y and i < 4 do
    i = i + 1
    x, y = a[i], b[i]
  end
  return x < y
end

-- Writes the counts, with the lifetime that the longest of them needs; without counts, deletes the key. `ends` returns when
-- a count ends.
local function write(key, text, counts, ends)
  if #counts == 0 then
    call('DEL', key)
    return
  end
  while #counts > MOST_COUNTS do
    -- The first is that of the quota.
    local soonest = 2
    for i = 3, #counts do
      if drops_before(counts[i], counts[soonest], ends) then soonest = i end
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
    -- All of them have ended.
    call('DEL', key)
  else
    -- A bucket keeps its number of charged tokens, so that two receipts of this moment differ.
    call('SET', key, text, 'PX', floor(max(0, last - NOW) / 1000) + 1000)
  end
end

local function with(own, others)
  local counts = { own }
  for i, count in ipairs(others or {}) do counts[i + 1] = count end
  return counts
end
