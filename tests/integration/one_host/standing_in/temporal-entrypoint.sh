#!/bin/sh
# Stands in for the entry point of the server's image.
exec temporal-server start
