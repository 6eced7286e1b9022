"""All SQL of this program: the tables, and the verbs that read and change them.

A verb takes a transaction (`Database.read` or `Database.write`) as its first argument and commits nothing itself.
"""
