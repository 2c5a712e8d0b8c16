--- Text of any bytes, such as the name of a file, as pages and JSON can hold it: what is no UTF-8 becomes U+FFFD.

---@param text string
---@return string
return function(text)
    local out, at = {}, 1
    while at <= #text do
        local ok, bad = utf8.len(text, at)
        if ok then
            out[#out + 1] = text:sub(at)
            break
        end
        out[#out + 1] = text:sub(at, bad - 1) .. "\u{FFFD}"
        at = bad + 1
    end
    return table.concat(out)
end
