-- off_platform: the merchant gave the money back itself, so no provider is asked and no balance changes.
ALTER TABLE refunds ADD COLUMN off_platform BIGINT NOT NULL DEFAULT 0;

-- hidden_at: taken out of the Admin API's lists. Only tries that took no money; everything else about them stays.
ALTER TABLE attempts ADD COLUMN hidden_at BIGINT;
