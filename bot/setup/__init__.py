"""`experiment-ci setup`: a GitHub App of one's own, its key and its settings on this machine.

`answers` are what people decide; `manifest` turns them into what GitHub is asked for, `reasons` says why. Two ways
lead there: `by_page` through GitHub's manifest flow (`page` shows it, `flow` remembers how far it is, `conversion`
fetches the App), and `by_hand`, step by step. `keep` writes the App down, `proof` asks GitHub about it, `finish` is the
end of both ways.
"""
