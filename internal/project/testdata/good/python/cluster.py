print("cluster")
