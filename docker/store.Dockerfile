# The S3-compatible store: SeaweedFS with a data folder that its user may write, and no start as root to chown it.
FROM chrislusf/seaweedfs:4.48@sha256:4e61d15fd35994cb1e43e1e553dff106794841fd9a99ade2fc8c8bfce4d7872d
USER 0
RUN mkdir -p /objects && chown 1000:1000 /objects
USER 1000:1000
WORKDIR /objects
ENTRYPOINT ["/usr/bin/weed"]
# Only the S3 gateway listens outside the container: the other parts answer without asking for a key.
CMD ["server", "-dir=/objects", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", "-s3.ip.bind=0.0.0.0", \
     "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false", "-volume.max=0", \
     "-master.volumeSizeLimitMB=1024", "-master.telemetry=false"]
