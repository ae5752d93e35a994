package main

import (
	_ "gocloud.dev/blob/azureblob" // azblob:// buckets
	_ "gocloud.dev/blob/s3blob"    // s3:// buckets
)
