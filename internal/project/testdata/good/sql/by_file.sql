select 'train'
