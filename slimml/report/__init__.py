"""The HTML reports: one page each that needs nothing but a browser, and no network.

html.py     markup in which everything is escaped unless it was made here
page.py     what both pages share, with page.css and page.js      charts.py    treemap, waterfall, bars
analysis.py, shrink.py    the pages, from the documents that --json prints
"""
