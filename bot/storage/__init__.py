"""Data from elsewhere: datasets and workspaces for a run (`fetch`, a program of its own), and files kept in a bucket.

fetch        the program: what to fetch on stdin, progress and the outcome on stdout
request      what is asked for            output    what is said, without anything secret
s3           buckets and objects          content   what an address means, and how its files are written
tree         a directory that strangers' names cannot leave
unpacking    archives into a tree         cache     content kept once, shared, evicted
git          other repositories           addresses where a stranger's URL may lead
archive      files put into a bucket, for whoever has artifacts to keep
"""
