--- Images that a model is only ever judged on: nothing is trained on them, and no recipe, epoch or threshold chosen.
--
-- Whoever publishes figures on such a set has to know that no image of it came into training by another way, in a
-- folder of unlabelled films for example. What is known of an image here is its file's name without extension, as a
-- hash, so that the list tells nothing of the sets; a copy under another name is not noticed. Every list was made of
-- `seen.hash("name " .. stem)` of all names.

local args = require "luxel.args"
local seen = require "luxel.data.seen"

-- The test images of Kermany et al. (Cell 172:1122, 2018) that the library's figures of shift are measured on, and
-- images of ChestX-ray14 (by both of their names) that radiologists read for RSNA's challenge of 2018.
local SETS <const> = {
    {"Kermany et al., test", [[
        01b2d43b929c 03e7349e798d 059abd0ad029 07f795567bb6 0acfee97ebab 0b70e76217d4 0ba0d3920be3 0c2500a8a7f5
        0c4c4f52322d 0c97a21ead73 0cbf692923fe 1047143bd28c 12a9e3a8b3d4 13e648cf2318 1533a1f60f86 1555408814d1
        1702db8af66d 19987574da1b 1b1b9a428732 1bfdd16e1182 1c14c71ec931 1c48f117e4bf 1c83d841e8b4 1d50b4b1866c
        1df92c787154 1f019cc2aea3 2198135a87f1 21fe31035c6e 23e8cfd5d7c6 244e6bf4f01b 24f7c42dd341 2b978e765702
        2d42641f35c5 2f393b753063 3066a387270e 30890d147811 3852ef83f163 39332b0fa7d1 3b5490599a48 3db24995a32f
        3dc83ee1bf3d 3e793abebb4b 3fddaa1321e5 407644612390 40cd7997b9b5 426c9dd6ce10 42bd57cb4078 42d7004d9025
        437657b50380 4449aa69accb 44bf114652fe 461cd2008d3e 4905c3533c7a 49da50306659 4ab382cf2ce1 4bd27b6fb919
        4d9b3a6e3a81 4e4b8f25ccbf 4e8b4ad560f1 4f5b0c442732 4f6cd980dfe5 4fc1e8b215c5 5019671b3f9e 524c80fecaa2
        53129a341052 53424690b3a6 53f8b921e39b 55df7add5722 57b6d558e72e 5857a536c021 5860023b19d0 5b253d2313b5
        5da7f7efd95a 5e93a62f2397 5ef371af11ce 600439b7f53e 63d1bb50058d 63d4bddc9d83 6400f12ceae0 64274dcdf9fb
        650450820fa0 662c27fb65e4 66682019c9a2 672aebdb9f72 6903200446e4 6b134e5742f4 6ec3ece7b4e6 70d9e9f98cbb
        72e453a4fb74 73895abe8dd6 74b4ca4299fc 75824aba9994 77141aeea930 787b41d42f0f 7b7e911d3e4b 7bde02c62c07
        7da3828d4558 7dd8c3174939 7f35a8bc2663 7f515baac4f4 7f96ff25fd85 8086b344a300 80998440a432 829f2744454d
        838187c0cdf4 83f3d323dafb 84bd4ad1c139 857cd4907434 865dcbec14ec 884adf2f88c0 89964f731eb5 89ddbd0e2a62
        8a2aeda1d4ca 8c0d1082b91b 92dd553b80ca 93eaec5088ca 946fec938172 94e6bc8227dc 9844344e0e98 9953562f4513
        99deec9368c5 9c160b69cb39 9c6426cc8889 9ec2afee5ea2 9fdeb9c2d530 a11eb06b3cc8 a1ba4e04af5a a3968695610c
        a4762ce0b1d9 a4fcb2e2b01b a59d315c5439 a62ebb4038f0 a81552167408 a875894d9dd5 a8acdfab4dbb aa017ec807ea
        aa1748bbed7f aa4ef32cd878 abb5ac5f5e4f ac1e471c59ab ae2c92a2a10c afc75313b644 b04c5acaf718 b15ffa06a291
        b1818d5eba80 b1e8d272bb99 b732631fe82a b7b54a20e861 b8d988491992 b993a0b8f762 bbc806b12e8b bc5f00f69272
        bd9cab2ad986 be0e4229c9ae bf8779363b18 c49e98e2d90b c5d00283ab51 c63d7fcae99e c66ae59287e6 c8d0d3539e20
        c9d9c77cf0c2 ca0cceeb0007 cbf4e0f57e07 cc3c4ce6e632 ccc6df70ead0 cd8fe4b602cb ce587a1f9836 ce69c2541f62
        ce70e94d0e4b cf5047501f91 cf68fbae6877 d1ff612e8793 d2734e39e1fe d39074daa79a d652d7811b50 d699e95c9f78
        d7d29954f49b d9896791e087 da54e116e7b4 de0479372bb7 e19fe4a6e1cb e1df7eb0bad0 e58775a02630 e6e81f4bb246
        e764c73f5776 ea00e034528e ea637868ee8d eb7a6684bd6d f0a67437b57a f1648cfb16d7 f17077fcc801 f4eb750a1420
        f514f14b1564 f706aaa50d82 f871086c7bbc f93bad3270d8 fa2d1cc4745c fa79075e8b86 fb5356304f77 fb6f0311ab39
        fbb255dd877e fbc69ef570c9 fce54f0076ca fd397e386505 fd81bff28043 fdefbc4a73b6 fe34cc58ed7c ffb37eba2ec8
    ]]},
    {"ChestX-ray14, read for RSNA's challenge", [[
        000f9dd5c156 01870b43964b 023f02d07e50 02dab25bba71 04130297d8e0 047a7fa063a1 06c05f80fdac 06cb1140a866
        07a396574cf1 08a5d7b20064 0a282a4a35fe 0b0ccb62f1f0 0cd2b7160f1c 0dda0736bdc4 0e1157df6222 0ee2f7d4066b
        108a5161d9cb 10a9eff18582 1177845d3cfb 1281e92ded5a 1367211108ea 1395ee182247 13bd6b83927f 16a5ebc3c7d3
        17ad3a675bdd 1907083208f5 1a729030edf3 1ab9688be5a2 1bc10e6872b5 1bcb66e1a329 1d82d8ed4a62 1d84ec8bb6cc
        1e375651b8e7 201078bc984d 210c453f62d7 211756334fed 240a63134a1a 248a6667751d 25164895c0e6 2562036912c7
        2588ed90aefb 2609bd206f92 2669c17e6b99 2788655bf30c 280ebfae7dad 2a0f247167f6 2a1f16955aeb 2a590c2e454c
        2c4779f1028a 2d35a8f23c77 2daf1c58187a 2db4b3f47f59 2f354ff5a73f 2f7eb7385892 2ffafd70e549 31c4b75c4a40
        3442618fda1e 37a24302bc70 37e55b898763 3876e94f19f7 3935e88394c2 39795ef65ad3 3bf3e0a3deb0 3cd831e4d8b3
        3e58fe7b78b9 3ebd19f16b1e 40865b6162f1 416877d11bce 42c997fa6158 42dd1a828e36 446193031d99 450d706062de
        453a67c2a1f8 4553b8ed789a 4591ddbdbf25 45b4d2e7de03 470dfc573093 475686e2c2e2 4798e0a78226 48a949e4bd88
        490ef7d5b80d 49ec28de23ee 4a9d8b89fc62 4da7a71c8016 4ec53f22a32a 4ef46a456116 4ff973733f88 50ee9459322e
        510fc70eb079 514ded8636c7 56b8e258d617 5759aa790a55 5802b7b5f227 583c8f6703a9 588d3982cb3c 5949ec3a7f74
        5a0c877eb073 5a1a6b6c9f05 5a1ce4045d37 5a654341fc14 5d2e8e6039dc 5df347f86248 5e4a0cbed0dd 618403774843
        619e4b8f3676 631db6bdb77b 63ed8f0cef12 643baa46f646 6604a9e1b6f2 66b812bba713 676d7390f9ee 69beab3a3623
        6a70d6ca6f74 6c03653e405c 6d268655d667 6d7b33ae09e1 6e03aa9b6def 6eb94cab4466 6f39f14914ef 6feae5e45e24
        7069b247b586 70ae9faf175b 71a317804387 71f3acad9688 736bfea4d54e 739641c86216 74aba8593184 7719cf2bca12
        7876cb273a78 7a3b13ceaf3f 7be0f4e952cf 7c5e2ae773a1 7c7840506a1f 7caedc2d2a4e 7cb7fa734dd8 7d48b08fd6bf
        7e38f1483cd0 7e4582a208ee 7e4efd8b31b3 804002569fc8 8046f5f1d912 80802d4ca3b9 83b96091a382 846eabf4c6d1
        85db48370ce4 874baeac0041 8b38ed14c48d 8b89ee2bce76 8be91344527c 8cf2cb549d5b 8efa83d3b14a 8f1c7db08a47
        912f40edfc84 94bdf462cae1 952405f21679 973530be1683 982e21c58a6e 98df1b82b8d6 9c1e10d11f7d 9d1536e9a97c
        9ee7c7c2c892 9f3b680d2b37 9f5da3f45d0c 9fc016a7a981 a0643ea82898 a1f0d60871d2 a283af0bfedc a3dd822c8ba9
        a3f937fdb8cc a4224bd0191a a632258f23e9 a7537c416b97 a88a96d87b57 a9dbf9c514eb ac14d1a4a2e8 ad33a1a5dc9f
        aea69146d7e9 af64b6cbafc6 b02150ab8971 b16d60bcffa9 b196de3d24ba b1be89706e8c b255798c43c6 b2f220ee7dd9
        b4891287252a b79f27e81e02 b7e5d244549d b950b1347200 b9dc8c717099 bbb829c94e9f bc11c9c94079 bcf4eaea39c2
        c2047049c4ee c597212f676a c5d9e9aea576 c7cb54bd40fc ca2419ec3da4 cbf8b185d6e9 cd25efb0f84d cd8ce0e38a70
        cdcc393ff83f ce42a0769d07 d012375220c7 d12b3c6ae57e d1946908155c d2b704da4f29 d2d62c0d94e2 d38e70417ad8
        d4ec2fb3ca9d d61a65a15687 d6e056cb8b1b d70fcde3bda3 d7c514ee9ee8 d91dcf3e6a45 d9b6491b9e58 da490b8077b7
        db472e3efe42 dbdd93e8bad5 dd4c7fd003e9 def585a1bcb9 df1329ac5948 df9d2b8d1b80 e2094ba18d24 e2cb010dcb8c
        e4b7504c0874 e62588640c29 e72b8cab2ca9 e8b41e7283f9 e92242fc37f7 e9d389f6a3b2 ea2aa1eb5cbe ebd7d5393191
        ebebbdb95306 ebf92f9d92fc ec43ac5d6c48 ecd4da59f76c edc03266ad4d edfc7d855e1c f069984cebf3 f0a889a06cd6
        f0cab58ea21e f0f7ee001a89 f37cd99eb281 f4347620e8ba f7e9133ac9f1 f80a96f47b48 f846dc353ffe f84b390ec762
        f84b479a09a3 f854d00d1b7c f89a63f250a4 fa3ddb3a3e74 fd1b57177f6c ffa07e612ccd ffb137796a60 ffe3042a38be
    ]]},
}

local set_of = {}
for _, set in ipairs(SETS) do
    for code in set[2]:gmatch("%x+") do set_of[code] = set[1] end
end

--- Whether an image is one that models are only judged on, by the name of its file: see lua/luxel/data/outside.lua.
--- Keep those out of training: `frame:filter(function(row) return not lx.data.outside(row.path) end)`.
---@param path string
---@return string? set the name of the set that it is of; nil for all other images
local function outside(path)
    local stem = path:gsub("\\", "/"):match("[^/]*$"):gsub("%.%w+$", "")
    return set_of[seen.hash("name " .. stem)]
end

return args.public("outside", "path: path", outside)
