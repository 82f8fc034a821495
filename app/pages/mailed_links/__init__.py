"""The pages to which the links in mails lead.

Opening a link changes nothing, because mail scanners open links. The token is
in the fragment of the link, which a browser sends to no server. So the script
of the page posts it to ``<page>/check``, which reads the token, says what a
click will do and for which account, and changes nothing either. The button
uses the token up.

Whoever has a token learns from the check what the mail says as well: the
username, and the address to which it was mailed.
"""
