--- Byte-pair encoding: beside a naive training, round trips, files, batches, and what is refused.

local csv = require "luxel.io.csv"
local json = require "luxel.json"
local lx = require "luxel"
local shell = require "spec.support.shell"

local REPORTS <const> = (os.getenv("LUXEL_DATA") or "../shared/data") .. "/indiana/reports.csv"

local TEXTS <const> = {
    "No pleural effusion. No pneumothorax.", "Small left pleural effusion.", "The heart is normal in size.",
    "No focal consolidation, effusion or pneumothorax.", "Heart size is normal. Lungs are clear.",
}

local work

setup(function() work = shell.folder() end)

teardown(function() shell.remove(work) end)

-- The merges by counting all pairs anew each time, as texts of what they merge.
local function naive(texts, count)
    local words = {}
    for _, text in ipairs(texts) do
        for _, piece in ipairs(text) do
            local word = {}
            for byte in piece:gmatch(".") do word[#word + 1] = byte end
            words[#words + 1] = word
        end
    end
    local number, merges = {}, {}
    for byte = 0, 255 do number[string.char(byte)] = byte end
    for step = 1, count do
        local counts, best = {}, nil
        for _, word in ipairs(words) do
            for i = 1, #word - 1 do
                local key = word[i] .. "\1" .. word[i + 1]
                local one = counts[key] or {a = word[i], b = word[i + 1], n = 0}
                counts[key], one.n = one, one.n + 1
            end
        end
        for _, one in pairs(counts) do
            local before = best and (one.n > best.n or one.n == best.n and (number[one.a] < number[best.a]
                or number[one.a] == number[best.a] and number[one.b] < number[best.b]))
            if not best or before then best = one end
        end
        if not best or best.n < 2 then break end
        merges[step] = best.a .. "+" .. best.b
        number[best.a .. best.b] = number[best.a .. best.b] or 255 + step
        for k, word in ipairs(words) do
            local out, i = {}, 1
            while i <= #word do
                if word[i] == best.a and word[i + 1] == best.b then
                    out[#out + 1], i = best.a .. best.b, i + 2
                else
                    out[#out + 1], i = word[i], i + 1
                end
            end
            words[k] = out
        end
    end
    return merges
end

describe("a tokenizer", function()
    it("merges what a naive count merges", function()
        local texts, pieces = {"abab abc", "cab abab", "bca bcab ab", "abc abc bcab cabab"}, {}
        for i, text in ipairs(texts) do
            pieces[i] = {}
            for piece in (" " .. text):gmatch(" %a+") do table.insert(pieces[i], piece) end
            pieces[i][1] = pieces[i][1]:sub(2) -- no space before the first word
        end
        local expected = naive(pieces, 12)
        local tokenizer = lx.text.tokenizer(texts, {vocabulary = 260 + 12})
        assert.equal(6, #expected)
        assert.equal(260 + #expected, tokenizer.size)
        for i, pair in ipairs(expected) do
            local a, b = pair:match("^(.-)%+(.*)$")
            assert.equal(a .. b, tokenizer:decode {260 + i}, pair)
        end
    end)

    it("gives every text back", function()
        local tokenizer = lx.text.tokenizer(TEXTS, {vocabulary = 320})
        local all = {}
        for byte = 0, 255 do all[#all + 1] = string.char(byte) end
        for _, text in ipairs {
            "", " ", "No pleural effusion.", "  two  spaces\n\n", "1.5 cm, äöü — \u{1F600}", table.concat(all),
            ("a"):rep(1000), ("heart "):rep(100), "\0\0", "\255\254",
        } do
            local tokens = tokenizer:encode(text)
            assert.equal(text, tokenizer:decode(tokens))
            for _, token in ipairs(tokens) do assert.is_true(token > 4 and token <= tokenizer.size) end
        end
        assert.is_true(#tokenizer:encode(TEXTS[1]) < #TEXTS[1] / 2)
        assert.equal("", tokenizer:decode {tokenizer.pad, tokenizer.start, tokenizer.stop, tokenizer.mask})
    end)

    it("is the same for the same texts in another order", function()
        local turned = {}
        for i, text in ipairs(TEXTS) do turned[#TEXTS + 1 - i] = text end
        assert.same(lx.text.tokenizer(TEXTS).merges, lx.text.tokenizer(turned).merges)
        assert.equal("Tokenizer: 260 tokens, 0 of them merged", tostring(lx.text.tokenizer {}))
        assert.equal(260, lx.text.tokenizer(TEXTS, {least = 100}).size)
    end)

    it("is saved and loaded", function()
        for _, tokenizer in ipairs {lx.text.tokenizer(TEXTS, {vocabulary = 300}), lx.text.tokenizer {}} do
            assert(tokenizer:save(work .. "/t.json"))
            local again = assert(lx.text.load_tokenizer(work .. "/t.json"))
            assert.same(tokenizer.merges, again.merges)
            assert.same(tokenizer:encode(TEXTS[3]), again:encode(TEXTS[3]))
        end
        assert.equal("io", select(3, lx.text.tokenizer({}):save(work .. "/no/t.json")))
    end)

    it("refuses files that are none", function()
        for text, message in pairs {
            [""] = "byte 1", ["[]"] = "it is no tokenizer", ['{"format": "x"}'] = "it is no tokenizer",
            ['{"format": "luxel tokenizer", "version": 2}'] = "it is of version 2, and 1 is read",
            ['{"format": "luxel tokenizer", "version": 1}'] = "merges: expected",
            ['{"format": "luxel tokenizer", "version": 1, "merges": [[5]]}'] = "merges: 1: expected two tokens, got 1",
            ['{"format": "luxel tokenizer", "version": 1, "merges": [[5, 2]]}'] = "merges: 1: 2 is no token",
            ['{"format": "luxel tokenizer", "version": 1, "merges": [[5, 261]]}'] = "merges: 1: 261 is no token",
            ['{"format": "luxel tokenizer", "version": 1, "merges": [[5, 1.5]]}'] = "merges: 1: expected",
            ['{"format": "luxel tokenizer", "version": 1, "merges": [[5, 6], [5, 6]]}'] = "merges: 2: the pair is "
                .. "there already, at 1",
            ['{"format": "luxel tokenizer", "version": 1, "merges": [[5, 5], [261, 261], [262, 262], [263, 263], '
                .. '[264, 264], [265, 265]]}'] = "merges: 6: the token has more than 32 bytes",
        } do
            local found, why, code = lx.text.load_tokenizer(shell.write(work .. "/bad.json", text))
            assert.is_nil(found, text)
            assert.matches("bad.json: ", why, 1, true)
            assert.matches(message, why, 1, true)
            assert.equal("format", code)
        end
        assert.equal("io", select(3, lx.text.load_tokenizer(work .. "/none.json")))
        assert.is_truthy(json)
    end)

    it("makes batches for networks", function()
        local tokenizer = lx.text.tokenizer(TEXTS, {vocabulary = 300})
        local tokens, lengths, cut = tokenizer:batch(TEXTS)
        assert.equal("int32", tokens.dtype)
        assert.equal(0, cut)
        local longest = 0
        for i, row in ipairs(tokens:totable()) do
            longest = math.max(longest, lengths[i])
            assert.equal(tokenizer.start, row[1])
            assert.equal(tokenizer.stop, row[lengths[i]])
            for k = lengths[i] + 1, #row do assert.equal(tokenizer.pad, row[k]) end
            assert.equal(TEXTS[i], tokenizer:decode(row))
        end
        assert.equal(longest, tokens.shape[2])
        tokens, lengths, cut = tokenizer:batch({"effusion effusion", ""}, {length = 4})
        assert.same({2, 4}, tokens.shape)
        assert.same({4, 2}, lengths)
        assert.equal(1, cut)
        local y = lx.nn.Embedding(tokenizer.size, 3)(tokens)
        assert.same({2, 4, 3}, y.shape)
        for _, wrong in ipairs {
            function() tokenizer:batch {} end, function() tokenizer:decode {0} end,
            function() tokenizer:decode {tokenizer.size + 1} end, function() tokenizer:batch({"a"}, {length = 1}) end,
        } do assert.has_error(wrong) end
    end)

    it("shortens real reports, where they are there", function()
        local rows = csv.read(REPORTS)
        if not rows then return pending("needs " .. REPORTS) end
        local train, test = {}, {}
        for i = 1, 400 do
            table.insert(i % 4 == 0 and test or train, rows[i].findings)
        end
        local tokenizer, bytes, tokens = lx.text.tokenizer(train, {vocabulary = 800}), 0, 0
        for _, text in ipairs(test) do
            local found = tokenizer:encode(text)
            assert.equal(text, tokenizer:decode(found))
            bytes, tokens = bytes + #text, tokens + #found
        end
        assert.is_true(bytes / tokens > 3.5, bytes / tokens)
    end)
end)
