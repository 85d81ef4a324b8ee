"""Does scale mitigate the harm that English intermediate training does to low-resource languages?

`answer.answer(table)` is the whole of it, the other rooms are what it is made of, and docs/statistics.md says why so.
"""
