"""All of GitHub: what we write there, what we read there, and who we are when we do.

`signature` knows a true webhook; `credentials` has the App's tokens; `client` has the verbs; `pacing` says when a verb
may be used; `errors` says what a refusal means; `checks` is what we write; `git` fetches code; `diagnosis` is for
`doctor`. This file imports none of them: the web's door needs the signature only, not the whole of PyGithub.
"""
