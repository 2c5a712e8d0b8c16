--- The page of a worklist: thumbnails in the order in which images should be looked at.

local lx = require "luxel"
local page = require "luxel.page"
local parts = require "luxel.report.parts"

local worklist = {}

-- Pixels of the longer side of a thumbnail, how many there are at the most, and problems that are listed.
local SIDE <const>, MOST <const>, PROBLEMS <const> = 112, 240, 200

local STYLE <const> = ".sheet{gap:1rem .8rem} .sheet figure{width:7rem;break-inside:avoid} "
    .. ".sheet figure img{max-width:7rem} .sheet b{color:var(--ink);font-size:.95rem} "
    .. ".share{display:block;height:.35rem;border-radius:.2rem;background:var(--line);margin:.1rem 0 .2rem} "
    .. ".share i{display:block;height:100%;border-radius:.2rem;background:var(--soft)} "
    .. ".called .share i{background:var(--b)}"

local function thumbnail(path)
    local image, message = lx.vision.load(path, {bits = 8})
    if not image then return nil, message end
    local height, width = image.shape[2], image.shape[3]
    local ratio = math.min(1, SIDE / math.max(height, width))
    return lx.vision.resize(image, math.max(1, math.floor(height * ratio + 0.5)),
        math.max(1, math.floor(width * ratio + 0.5)))
end

local function figure(row, rank, positive)
    local name = page.escape(row.path:match("[^/]*$"))
    local share, marks = 100 * row.urgency, {}
    for _, code in ipairs(row.reasons or row.warnings or {}) do
        marks[#marks + 1] = ('<span class="tag">%s</span>'):format(page.escape(code))
    end
    local image, problem = thumbnail(row.path)
    return ('<figure%s>%s<figcaption><b>%d. %.1f\u{a0}%%</b><span class="share"><i style="width:%.0f%%"></i></span>'
        .. "called %s<br>%s%s</figcaption></figure>"):format(row.label == positive and ' class="called"' or "",
        image and page.image(image, name, page.escape(row.path)) or ("<p>%s</p>"):format(page.escape(problem)),
        rank, share, share, page.escape(row.label), name, #marks > 0 and "<br>" .. table.concat(marks) or "")
end

--- Writes the page.
---@param path string
---@param rows luxel.TriageRow[] in their order
---@param options {model: string, words: string, positive: string?, command: string?, progress: function?} words: what
---  images are sorted by; positive: of two classes the one that stands out
---@return boolean? ok, string? message, string? code
function worklist.write(path, rows, options)
    local out, answered, problems = {}, 0, {}
    local doubtful -- nil where the model's file keeps nothing to doubt by
    for _, row in ipairs(rows) do
        if row.urgency then answered = answered + 1 else problems[#problems + 1] = {row.path, row.problem} end
        if row.reasons then doubtful = (doubtful or 0) + (#row.reasons > 0 and 1 or 0) end
    end
    parts.notice(out)
    out[#out + 1] = table.concat {
        '<div class="cards">', page.card(answered, "images in order"),
        doubtful and page.card(doubtful, "uncertain answers") or "", page.card(#problems, "without an answer", true),
        "</div>",
    }
    if #problems > 0 then
        page.section(out, "Without an answer", "A person has to look at these: nothing is known of them.%s",
            #problems > PROBLEMS and (" The first %d; all are in the worklist."):format(PROBLEMS) or "")
        parts.table(out, {"image", "why"}, table.move(problems, 1, math.min(#problems, PROBLEMS), 1, {}), true)
    end
    local shown = math.min(answered, MOST)
    page.section(out, "In order", "By %s, the largest first; of equal ones the more doubtful.%s", options.words,
        shown < answered and (" The first %d of %d."):format(shown, answered) or "")
    out[#out + 1] = '<div class="sheet">'
    for rank = 1, shown do
        out[#out + 1] = figure(rows[rank], rank, options.positive)
        if options.progress then options.progress(rank, shown) end
    end
    out[#out + 1] = "</div>"
    parts.again(out, {{"Model", options.model}}, options.command)
    return page.write(path, "Worklist", ("%d images by %s"):format(#rows, options.model:match("[^/]*$")), out, STYLE)
end

return worklist
