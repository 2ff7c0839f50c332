"""The pure decision core: everything that decides, and no Django.

``origins`` reads what browsers send, ``entries`` and ``networks`` what creators list, ``guards``
refuses what should not be saved, ``tokens`` knows a key's text, ``decision`` decides.
"""
