--- Texts as numbers for networks: byte-pair encoding (Sennrich, Haddow and Birch, "Neural machine translation of rare
--- words with subword units", ACL 2016) over bytes, so that every text comes back as it was.
--
-- A text is cut into pieces (a word with the space before it, digits, signs, white space), of which each is a list of
-- tokens: at first its bytes, of which the pair that was the most frequent in training is merged first. A token is a
-- number from 1: four special ones, the 256 bytes, and one for each merge.

local args = require "luxel.args"
local core = require "luxel.core"
local json = require "luxel.json"
local lx = require "luxel"
local namespace = require "luxel.namespace"

local SPECIAL <const> = {"pad", "start", "stop", "mask"}
local BYTES <const> = #SPECIAL -- the token of byte b is BYTES + b + 1
local FIRST <const> = BYTES + 256 -- tokens without merges
local LONGEST <const> = 32 -- bytes of a piece
local REMEMBERED <const> = 50000 -- pieces whose tokens are kept
local LARGEST <const> = 1 << 24 -- bytes of a file
local FORMAT <const>, VERSION <const> = "luxel tokenizer", 1
local SHIFT <const> = 32 -- bits of the second token in the key of a pair

-- ---- pieces ---------------------------------------------------------------------------------------------------

-- Calls `f` with each piece of a text, in order; together they are the text.
local function each_piece(text, f)
    local at, size = 1, #text
    while at <= size do
        local last = select(2, text:find("^ ?[%a\128-\255]+", at)) or select(2, text:find("^ ?%d+", at))
            or select(2, text:find("^ ?[^%s%w\128-\255]+", at)) or select(2, text:find("^%s+", at))
        last = math.min(last, at + LONGEST - 1)
        f(text:sub(at, last))
        at = last + 1
    end
end

local function bytes_of(piece)
    local tokens = {piece:byte(1, -1)}
    for i, byte in ipairs(tokens) do tokens[i] = BYTES + byte + 1 end
    return tokens
end

-- Puts `merged` in the place of each pair a, b; from left to right.
local function merge(tokens, a, b, merged)
    local out, i, n = {}, 1, #tokens
    while i <= n do
        if tokens[i] == a and tokens[i + 1] == b then
            out[#out + 1], i = merged, i + 2
        else
            out[#out + 1], i = tokens[i], i + 1
        end
    end
    return out
end

-- ---- training -------------------------------------------------------------------------------------------------

-- The different pieces of texts, as tokens, and how often each is there.
local function count_pieces(texts)
    local counts, words = {}, {}
    for _, text in ipairs(texts) do
        each_piece(text, function(piece) counts[piece] = (counts[piece] or 0) + 1 end)
    end
    for piece, count in pairs(counts) do words[#words + 1] = {piece = piece, count = count} end
    table.sort(words, function(x, y) return x.piece < y.piece end)
    for _, word in ipairs(words) do word.tokens = bytes_of(word.piece) end
    return words
end

-- Adds the pairs of a word to the counts, or takes them away.
local function add_pairs(pairs_of, places, word, number, sign)
    local tokens = word.tokens
    for i = 1, #tokens - 1 do
        local key = tokens[i] << SHIFT | tokens[i + 1]
        pairs_of[key] = (pairs_of[key] or 0) + sign * word.count
        if sign > 0 then
            places[key] = places[key] or {}
            places[key][number] = true
        elseif pairs_of[key] == 0 then
            pairs_of[key], places[key] = nil, nil
        end
    end
end

-- The most frequent pair, of several the one of the smallest tokens.
local function most_frequent(pairs_of)
    local best, most = nil, 0
    for key, count in pairs(pairs_of) do
        if count > most or count == most and key < best then best, most = key, count end
    end
    return best, most
end

local function learn(texts, vocabulary, least)
    local words, pairs_of, places, merges = count_pieces(texts), {}, {}, {}
    for number, word in ipairs(words) do add_pairs(pairs_of, places, word, number, 1) end
    while FIRST + #merges < vocabulary do
        local key, count = most_frequent(pairs_of)
        if not key or count < least then break end
        local a, b, merged = key >> SHIFT, key & (1 << SHIFT) - 1, FIRST + #merges + 1
        merges[#merges + 1] = {a, b}
        local numbers = {}
        for number in pairs(places[key]) do numbers[#numbers + 1] = number end
        for _, number in ipairs(numbers) do
            local word = words[number]
            add_pairs(pairs_of, places, word, number, -1)
            word.tokens = merge(word.tokens, a, b, merged)
            add_pairs(pairs_of, places, word, number, 1)
        end
    end
    return merges
end

-- ---- the tokenizer --------------------------------------------------------------------------------------------

---@class luxel.Tokenizer
---@field size integer how many tokens there are, which `nn.Embedding` needs
---@field pad integer the token behind the end of shorter texts
---@field start integer the token before a text
---@field stop integer the token behind it
---@field mask integer a token that stands for one that is hidden
local Tokenizer = {}

local function new(merges)
    local self = {
        merges = merges, size = FIRST + #merges, ranks = {}, texts = {}, known = {}, count = 0,
    }
    for i, name in ipairs(SPECIAL) do self[name], self.texts[i] = i, "" end
    for byte = 0, 255 do self.texts[BYTES + byte + 1] = string.char(byte) end
    for i, pair in ipairs(merges) do
        self.ranks[pair[1] << SHIFT | pair[2]] = i
        self.texts[FIRST + i] = self.texts[pair[1]] .. self.texts[pair[2]]
    end
    return setmetatable(self, Tokenizer)
end

function Tokenizer:__tostring()
    return ("Tokenizer: %d tokens, %d of them merged"):format(self.size, #self.merges)
end

-- The tokens of a piece: of its pairs the one that was learnt first is merged, until there is none.
local function tokens_of(self, piece)
    local known = self.known[piece]
    if known then return known end
    local tokens = bytes_of(piece)
    while #tokens > 1 do
        local best
        for i = 1, #tokens - 1 do
            local rank = self.ranks[tokens[i] << SHIFT | tokens[i + 1]]
            if rank and (not best or rank < best) then best = rank end
        end
        if not best then break end
        tokens = merge(tokens, self.merges[best][1], self.merges[best][2], FIRST + best)
    end
    if self.count >= REMEMBERED then self.known, self.count = {}, 0 end
    self.known[piece], self.count = tokens, self.count + 1
    return tokens
end

--- The tokens of a text.
---@param text string any bytes
---@return integer[] tokens from 1 to `size`, without special ones
function Tokenizer:encode(text)
    local out = {}
    each_piece(text, function(piece)
        local tokens = tokens_of(self, piece)
        table.move(tokens, 1, #tokens, #out + 1, out)
    end)
    return out
end

--- The text of tokens; `decode(encode(text))` is the text. Special ones are nothing.
---@param tokens integer[]
---@return string
function Tokenizer:decode(tokens)
    local parts = {}
    for i, token in ipairs(tokens) do
        parts[i] = self.texts[token]
        if not parts[i] then
            args.fail("Tokenizer:decode: tokens: expected numbers from 1 to %d, got %s at %d", self.size,
                args.describe(token), i)
        end
    end
    return table.concat(parts)
end

--- Texts as a batch for a network: each between `start` and `stop`, with `pad` behind those that are shorter.
---@param texts string[]
---@param options? {length: integer?, device: string?} length: tokens of each row, with start and stop; what is longer
---  is cut, before `stop`; default that of the longest text
---@return Tensor tokens int32 [N,L]
---@return integer[] lengths how many tokens of each row are no padding, as `nn.GRU` takes them
---@return integer cut how many texts were too long
function Tokenizer:batch(texts, options)
    local length, rows, lengths, cut, longest = options and options.length, {}, {}, 0, 2
    for i, text in ipairs(texts) do
        rows[i] = self:encode(text)
        if length and #rows[i] > length - 2 then
            cut = cut + 1
            rows[i] = table.move(rows[i], 1, length - 2, 1, {})
        end
        longest = math.max(longest, #rows[i] + 2)
    end
    length = length or longest
    for i, tokens in ipairs(rows) do
        local row = table.move(tokens, 1, #tokens, 2, {self.start})
        row[#row + 1] = self.stop
        lengths[i] = #row
        for k = #row + 1, length do row[k] = self.pad end
        rows[i] = row
    end
    if #rows == 0 then args.fail("Tokenizer:batch: texts: there are none") end
    return lx.tensor(rows, {dtype = "int32", device = options and options.device}), lengths, cut
end

--- Writes the tokenizer to a file (JSON), for `lx.text.load_tokenizer`.
---@param path string
---@return boolean? ok, string? message, string? code "io" where it cannot be written
function Tokenizer:save(path)
    return core.write_file(path, {json.encode {format = FORMAT, version = VERSION, merges = self.merges}, "\n"})
end

-- The merges of a file's text, or nil and what is wrong with it.
local function merges_of(text)
    local read, message = json.decode(text)
    if read == nil then return nil, message end
    if type(read) ~= "table" or read.format ~= FORMAT then return nil, "it is no tokenizer" end
    if read.version ~= VERSION then return nil, ("it is of version %s, and %d is read"):format(tostring(read.version),
        VERSION) end
    local mistake = args.mistake_in("merges", "table[]", read.merges)
    if mistake then return nil, mistake end
    local seen, lengths = {}, {}
    for i, pair in ipairs(read.merges) do
        mistake = args.mistake_in("merges: " .. i, "integer[]", pair)
        if mistake then return nil, mistake end
        for _, token in ipairs(pair) do
            if token <= BYTES or token >= FIRST + i then
                return nil, ("merges: %d: %d is no token that could be there before"):format(i, token)
            end
        end
        if #pair ~= 2 then return nil, ("merges: %d: expected two tokens, got %d"):format(i, #pair) end
        local key = pair[1] << SHIFT | pair[2]
        if seen[key] then return nil, ("merges: %d: the pair is there already, at %d"):format(i, seen[key]) end
        seen[key] = i
        lengths[i] = (lengths[pair[1] - FIRST] or 1) + (lengths[pair[2] - FIRST] or 1)
        if lengths[i] > LONGEST then
            return nil, ("merges: %d: the token has more than %d bytes"):format(i, LONGEST)
        end
    end
    return read.merges
end

--- Reads a tokenizer that `Tokenizer:save` wrote.
---@param path string
---@return luxel.Tokenizer? tokenizer, string? message, string? code "io", or "format" where the file is damaged
local function load_tokenizer(path)
    local file, message = io.open(path, "rb")
    if not file then return nil, message, "io" end
    local text, problem = file:read(LARGEST + 1)
    file:close()
    if problem then return nil, ("%s: %s"):format(path, problem), "io" end
    if #(text or "") > LARGEST then return nil, path .. ": it is no tokenizer: more than 16 MiB", "format" end
    local merges
    merges, message = merges_of(text or "")
    if not merges then return nil, ("%s: %s"):format(path, message), "format" end
    return new(merges)
end

--- Learns from texts which bytes to take together: `lx.text.tokenizer(reports, {vocabulary = 2000})`. The same texts
--- give the same tokenizer, in whatever order they are.
---@param texts string[]
---@param options? {vocabulary: integer?, least: integer?} vocabulary: tokens at most, default 1000, of which 260 are
---  the bytes and four special ones; least: how often a pair has to be there to become a token, default 2
---@return luxel.Tokenizer
local function tokenizer(texts, options)
    local opts = args.with_defaults(options, {vocabulary = 1000, least = 2})
    return new(learn(texts, opts.vocabulary, opts.least))
end

args.type("tokenizer", "a tokenizer of lx.text.tokenizer", "table", function(value)
    return getmetatable(value) == Tokenizer
end)

args.publish("Tokenizer:", Tokenizer, {
    encode = "tokenizer: tokenizer, text: string", decode = "tokenizer: tokenizer, tokens: integer[]",
    batch = "tokenizer: tokenizer, texts: string[], options: {length: integer(2..1000000)?, device: text?}?",
    save = "tokenizer: tokenizer, path: path",
})
namespace.class("Tokenizer", Tokenizer, {})

return {
    tokenizer = args.public("tokenizer", "texts: string[], options: {vocabulary: integer(260..1000000)?, "
        .. "least: integer(1..)?}?", tokenizer),
    load_tokenizer = args.public("load_tokenizer", "path: path", load_tokenizer),
}
