--- Pages of results in a browser: each is opened in headless Chromium as on a desk, on a phone and on paper, in light
--- and in dark, measured, and photographed to be looked at.
--
--     lua5.4 bench/pages.lua PICTURES PAGE.html...
--
-- PICTURES is a folder, made where it is missing, for NAME-VIEW.png. Of every view: the least contrast of a text
-- against what is below it (WCAG 2.2, 1.4.3), pixels that stick out at the right, pictures that are broken or have no
-- words for those who do not see them; of every page its size, what it asked from elsewhere, and what the browser
-- complained of.
-- Ends with 1 where one of the aims is missed: contrast 4.5, nothing sticks out, no request, no complaint, 5 MB.
-- CHROMIUM names the browser (default: chromium). It is spoken to by its debugging protocol, over two pipes.

local cjson = require "cjson"
local lfs = require "lfs"

local CONTRAST <const>, BYTES <const> = 4.5, 5 << 20
local TALLEST <const> = 6000 -- pixels of a photograph
local BROWSER <const> = os.getenv "CHROMIUM" or "chromium"

-- A4 has 794 pixels of CSS across, and browsers leave 10 mm on either side.
local VIEWS <const> = {
    {name = "desktop-light", width = 1280, height = 800},
    {name = "desktop-dark", width = 1280, height = 800, dark = true},
    {name = "phone-light", width = 390, height = 844, phone = true},
    {name = "phone-dark", width = 390, height = 844, phone = true, dark = true},
    {name = "print-light", width = 718, height = 1000, paper = true},
    {name = "print-dark", width = 718, height = 1000, paper = true, dark = true},
}

-- What is measured inside the page. A text stands on what elementsFromPoint finds below its middle, blended.
local MEASURE <const> = [[(() => {
  const parse = text => {
    const found = text.match(/rgba?\(([^)]+)\)/);
    if (!found) return null;
    const parts = found[1].split(/[ ,\/]+/).filter(p => p).map(Number);
    return [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1];
  };
  const over = (top, below) => [0, 1, 2].map(k => top[k] * top[3] + below[k] * (1 - top[3]));
  const light = colour => {
    const part = colour.map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const contrast = (a, b) => {
    const x = light(a), y = light(b);
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const faint = element => {
    let opacity = 1;
    for (let e = element; e; e = e.parentElement) opacity *= Number(getComputedStyle(e).opacity);
    return opacity;
  };
  const ground = (element, x, y) => {
    const layers = [];
    for (const below of document.elementsFromPoint(x, y)) {
      if (below === element && below instanceof SVGElement) continue;
      const style = getComputedStyle(below);
      let colour = null;
      if (below instanceof SVGGeometryElement) {
        colour = style.fill === 'none' ? null : parse(style.fill);
        if (colour) colour[3] *= Number(style.fillOpacity);
      } else if (!(below instanceof SVGElement)) colour = parse(style.backgroundColor);
      if (!colour || colour[3] === 0) continue;
      colour[3] *= faint(below);
      layers.push(colour);
      if (colour[3] >= 0.999) break;
    }
    // the canvas has the colour of the root, or else of the body, also beside that
    const canvas = [document.documentElement, document.body].map(e => parse(getComputedStyle(e).backgroundColor));
    let out = (canvas.find(c => c && c[3] > 0) || [255, 255, 255]).slice(0, 3);
    for (const layer of layers.reverse()) out = over(layer, out);
    return out;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const low = [];
  let least = 99, texts = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest('title,desc,style,script')) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden' || style.display === 'none') continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getClientRects()[0];
    if (!box || box.width === 0) continue;
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) continue;
    const below = ground(element, x, y);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    colour[3] *= faint(element);
    const found = contrast(over(colour, below), below);
    texts += 1;
    least = Math.min(least, found);
    if (found < ]] .. CONTRAST .. [[) low.push(found.toFixed(2) + ' "' + node.data.trim().slice(0, 40) + '"');
  }
  const wide = [];
  const over_by = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (over_by > 0) {
    for (const e of document.body.querySelectorAll('*')) {
      if (e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest('.wide'))
        wide.push(e.tagName + '.' + (e.getAttribute('class') || ''));
    }
  }
  const images = [...document.images];
  return JSON.stringify({
    least, texts, low: low.slice(0, 5), over: over_by, wide: wide.slice(0, 5),
    broken: images.filter(i => i.naturalWidth === 0).length, silent: images.filter(i => !i.alt).length,
    unnamed: [...document.querySelectorAll('svg[role=img]')].filter(s => !s.querySelector('title')).length,
    small: Math.min(99, ...[...document.querySelectorAll('p,td,th,figcaption,li')].map(
      e => parseFloat(getComputedStyle(e).fontSize))),
  });
})()]]

-- ---- the browser ----------------------------------------------------------------------------------------------------

local function run(line)
    if not os.execute(line) then error("cannot run: " .. line, 0) end
end

local Browser = {}
Browser.__index = Browser

local function open_browser()
    local folder = os.tmpname()
    os.remove(folder)
    assert(lfs.mkdir(folder))
    run(("mkfifo %s/to %s/from"):format(folder, folder))
    -- root has no sandbox, as in containers; nothing but the pages named is opened
    run(("%s --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --user-data-dir=%s/profile "
        .. "--remote-debugging-pipe 3<%s/to 4>%s/from 2>%s/log &"):format(BROWSER, folder, folder, folder, folder))
    local to, from = assert(io.open(folder .. "/to", "w")), assert(io.open(folder .. "/from", "r"))
    to:setvbuf "no"
    return setmetatable({folder = folder, to = to, from = from, count = 0, events = {}}, Browser)
end

-- The next message: they end with a zero byte.
function Browser:read()
    local out = {}
    while true do
        local byte = self.from:read(1)
        if not byte then error(("the browser has ended; %s/log says why"):format(self.folder), 0) end
        if byte == "\0" then return cjson.decode(table.concat(out)) end
        out[#out + 1] = byte
    end
end

-- Asks, and keeps what is told meanwhile.
function Browser:ask(method, params)
    self.count = self.count + 1
    local own = self.count
    local message = {id = own, method = method, sessionId = self.session}
    message.params = params and next(params) and params or nil
    self.to:write(cjson.encode(message), "\0")
    while true do
        local found = self:read()
        if found.id == own then
            if found.error then error(("%s: %s"):format(method, found.error.message), 0) end
            return found.result
        elseif found.method then
            self.events[#self.events + 1] = found
        end
    end
end

-- Waits for something that is told.
function Browser:wait(method)
    for _, event in ipairs(self.events) do
        if event.method == method then return end
    end
    repeat
        local found = self:read()
        self.events[#self.events + 1] = found
    until found.method == method
end

function Browser:close()
    self.session = nil
    pcall(self.ask, self, "Browser.close")
    self.to:close()
    self.from:close()
    os.execute(("sleep 1; rm -rf %s"):format(self.folder))
end

-- ---- a page ---------------------------------------------------------------------------------------------------------

local LETTERS <const> = {}
for i, letter in ipairs {("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):byte(1, -1)} do
    LETTERS[letter] = i - 1
end

local function from_base64(text)
    local out = {}
    for i = 1, #text, 4 do
        local a, b, c, d = text:byte(i, i + 3)
        local word = LETTERS[a] << 18 | LETTERS[b] << 12 | (LETTERS[c] or 0) << 6 | (LETTERS[d] or 0)
        local bytes = string.char(word >> 16, word >> 8 & 255, word & 255)
        out[#out + 1] = bytes:sub(1, LETTERS[d] and 3 or LETTERS[c] and 2 or 1)
    end
    return table.concat(out)
end

local function write(path, bytes)
    local file <close> = assert(io.open(path, "wb"))
    assert(file:write(bytes))
end

-- What the browser was told of requests and complaints since the page was opened.
local function told(events, own)
    local requests, complaints = {}, {}
    for _, event in ipairs(events) do
        local params = event.params
        if event.method == "Network.requestWillBeSent" then
            local url = params.request.url
            if url ~= own and not url:find "^data:" then requests[#requests + 1] = url end
        elseif event.method == "Runtime.exceptionThrown" then
            complaints[#complaints + 1] = params.exceptionDetails.text
        elseif event.method == "Log.entryAdded" then
            complaints[#complaints + 1] = params.entry.text
        elseif event.method == "Runtime.consoleAPICalled" then
            complaints[#complaints + 1] = "console." .. params.type
        end
    end
    return requests, complaints
end

local function evaluate(browser, text)
    local found = browser:ask("Runtime.evaluate", {expression = text})
    if found.exceptionDetails then
        error(found.exceptionDetails.exception and found.exceptionDetails.exception.description
            or found.exceptionDetails.text, 0)
    end
    return found.result.value
end

local function look(browser, view, url, picture)
    local metrics = {
        width = view.width, height = view.height, deviceScaleFactor = 1, mobile = view.phone == true,
    }
    browser:ask("Emulation.setDeviceMetricsOverride", metrics)
    browser:ask("Emulation.setEmulatedMedia", {media = view.paper and "print" or "screen", features = {
        {name = "prefers-color-scheme", value = view.dark and "dark" or "light"},
    }})
    browser.events = {}
    browser:ask("Page.navigate", {url = url})
    browser:wait "Page.loadEventFired"
    -- so that every text is within the window, where elementsFromPoint finds it
    metrics.height = math.max(view.height, evaluate(browser, "document.documentElement.scrollHeight"))
    browser:ask("Emulation.setDeviceMetricsOverride", metrics)
    local found = cjson.decode(evaluate(browser, MEASURE))
    local requests, complaints = told(browser.events, url)
    local shot = browser:ask("Page.captureScreenshot", {format = "png", clip = {
        x = 0, y = 0, width = view.width, height = math.min(TALLEST, metrics.height), scale = 1,
    }, captureBeyondViewport = true})
    write(picture, from_base64(shot.data))
    return found, requests, complaints
end

-- ---- all of them ----------------------------------------------------------------------------------------------------

local folder = arg[1]
if not folder or not arg[2] then
    io.stderr:write("usage: pages.lua PICTURES PAGE.html...\n")
    os.exit(1)
end
lfs.mkdir(folder)

local browser = open_browser()
local target = browser:ask("Target.createTarget", {url = "about:blank"})
browser.session = browser:ask("Target.attachToTarget", {targetId = target.targetId, flatten = true}).sessionId
for _, domain in ipairs {"Page", "Runtime", "Network", "Log"} do browser:ask(domain .. ".enable") end

local missed = {}
print("| page | view | least contrast | texts | sticks out | smallest text | size |\n|---|---|---|---|---|---|---|")
for i = 2, #arg do
    local path = arg[i]
    local size = assert(lfs.attributes(path, "size"), path .. ": is not there")
    local whole = path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
    local name = path:match("([^/]+)%.html?$") or ("page" .. i)
    local function miss(where, format, ...) missed[#missed + 1] = ("%s: %s"):format(where, format:format(...)) end
    if size >= BYTES then miss(name, "%.1f MB", size / 1e6) end
    for _, view in ipairs(VIEWS) do
        local where = name .. "-" .. view.name
        local found, requests, complaints = look(browser, view, "file://" .. whole, ("%s/%s.png"):format(folder, where))
        print(("| %s | %s | %.2f | %d | %d px | %.1f px | %.2f MB |"):format(name, view.name, found.least, found.texts,
            found.over, found.small, size / 1e6))
        io.stdout:flush()
        for _, text in ipairs(found.low) do miss(where, "contrast %s", text) end
        if found.over > 0 then miss(where, "%d pixels stick out: %s", found.over, table.concat(found.wide, ", ")) end
        if found.broken > 0 then miss(where, "%d pictures are broken", found.broken) end
        local silent = found.silent + found.unnamed
        if silent > 0 then miss(where, "%d pictures have no words", silent) end
        for _, url in ipairs(requests) do miss(where, "asks for %s", url:sub(1, 100)) end
        for _, text in ipairs(complaints) do miss(where, "the browser says: %s", text) end
    end
end
browser:close()

if #missed > 0 then
    io.stderr:write("\nmissed:\n", table.concat(missed, "\n"), "\n")
    os.exit(1)
end
print("\nno request, no complaint, nothing missed")
